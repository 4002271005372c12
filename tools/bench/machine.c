// SPDX-License-Identifier: GPL-2.0
/* The machine that is measured on: what it is, and whether it is idle. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define IDLE_BUSY_PER_MILLE	25

static void read_line(const char *path, const char *key, char *to, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[1024];

	to[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		char *value = line;

		line[strcspn(line, "\n")] = '\0';
		if (key) {
			if (strncmp(line, key, strlen(key)))
				continue;
			value = strchr(line, ':');
			if (!value)
				continue;
			value += 1 + strspn(value + 1, " \t");
		}
		snprintf(to, size, "%.*s", (int)size - 1, value);
		break;
	}
	if (file)
		fclose(file);
}

/* ns of one instruction of a loop that is nothing but instructions. */
static double loop_cost(void)
{
	const unsigned long loops = 20000000;
	uint64_t start = now_ns();
	unsigned long i = loops;

#ifdef __x86_64__
	asm volatile("1: dec %0\n\tjnz 1b" : "+r" (i) : : "cc");
#else
	while (i--)
		asm volatile("" : "+r" (i));
#endif
	return (double)(now_ns() - start) / (2.0 * loops);
}

void machine_describe(struct machine *machine)
{
	const unsigned int reads = 10000;
	double least = 1e9, most = 0;
	struct utsname name;
	uint64_t start;

	uname(&name);
	snprintf(machine->kernel, sizeof(machine->kernel), "%s", name.release);
	snprintf(machine->version, sizeof(machine->version), "%s", name.version);
	read_line("/proc/cpuinfo", "model name", machine->cpu, sizeof(machine->cpu));
	read_line("/proc/cmdline", NULL, machine->cmdline, sizeof(machine->cmdline));
	read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", NULL,
		  machine->clocksource, sizeof(machine->clocksource));
	machine->cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (int i = 0; i < 3; i++) {
		double cost = loop_cost();

		if (cost < least)
			least = cost;
		if (cost > most)
			most = cost;
	}
	machine->ns_per_instruction = least;
	/* One ns an instruction, the timer tick's own ones on top, and steady. */
	machine->counted = least > 0.99 && most < 1.03 && machine->cpus == 1;

	start = now_ns();
	for (unsigned int i = 0; i < reads; i++)
		now_ns();
	machine->clock_cost = (double)(now_ns() - start) / reads;
}

static int cpu_times(uint64_t *busy, uint64_t *all)
{
	uint64_t user, nice, system, idle, iowait, irq, softirq, steal;
	FILE *file = fopen("/proc/stat", "re");
	int fields;

	if (!file)
		return -1;
	fields = fscanf(file, "cpu %lu %lu %lu %lu %lu %lu %lu %lu", &user, &nice, &system, &idle,
			&iowait, &irq, &softirq, &steal);
	fclose(file);
	if (fields != 8)
		return -1;
	*busy = user + nice + system + irq + softirq + steal;
	*all = *busy + idle + iowait;
	return 0;
}

/* Waits until the CPUs have had one window with next to nothing to do. */
int machine_wait_idle(int window_ms, int windows)
{
	const struct timespec window = { .tv_nsec = window_ms * 1000000L };

	for (int i = 0; i < windows; i++) {
		uint64_t busy[2], all[2];

		if (cpu_times(&busy[0], &all[0]))
			return -EIO;
		nanosleep(&window, NULL);
		if (cpu_times(&busy[1], &all[1]))
			return -EIO;
		if (all[1] > all[0] &&
		    (busy[1] - busy[0]) * 1000 <= (all[1] - all[0]) * IDLE_BUSY_PER_MILLE)
			return 0;
	}
	return -EBUSY;
}
