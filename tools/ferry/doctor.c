// SPDX-License-Identifier: GPL-2.0
/*
 * ferry doctor: what keeps AF_FERRY from working here, and the cure.
 *
 * Nothing is changed but that the kernel may load an installed module, which
 * the first socket does anyway. What only building or loading needs is no
 * complaint while the module is there.
 */
#include "ferry.h"

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <json-c/json.h>

static const char help[] =
"usage: ferry doctor [OPTIONS]\n"
"\n"
"Looks whether AF_FERRY works, which module there is for which kernel, what is\n"
"missing to build or load one, whether the port for other hosts is open, and for\n"
"names that were bound with a wrong length; each with the cure. Exit status 0\n"
"when all is well.\n"
"\n"
"  -j, --json    the same as JSON\n";

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	OPT_HELP,
	{}
};

static const struct syntax syntax = { ":jh", options, help };

enum verdict { FINE, NOTE, BAD };

static const char * const verdicts[] = { "ok", "note", "bad" };

static struct {
	struct utsname kernel;
	bool works;		/* AF_FERRY */
	char module[PATH_MAX];	/* the file for this kernel, or empty */
	bool json;
	struct json_object *list;
	int bad;
} doctor;

/* One finding; @cure is NULL where there is nothing to do. */
__attribute__((format(printf, 4, 5)))
static void tell(const char *check, enum verdict verdict, const char *cure, const char *format, ...)
{
	struct json_object *o;
	char finding[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(finding, sizeof(finding), format, args);
	va_end(args);
	doctor.bad += verdict == BAD;
	if (!doctor.json) {
		printf("%-4s  %-9s %s\n", verdicts[verdict], check, finding);
		if (cure)
			printf("                cure: %s\n", cure);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "check", json_object_new_string(check));
	json_object_object_add(o, "verdict", json_object_new_string(verdicts[verdict]));
	json_object_object_add(o, "finding", json_object_new_string(finding));
	json_object_object_add(o, "cure", cure ? json_object_new_string(cure) : NULL);
	json_object_array_add(doctor.list, o);
}

/* The first line of a file; false when it cannot be read. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok;

	if (!f)
		return false;
	ok = fgets(line, size, f);
	fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

static bool have_file(const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	return !access(path, F_OK);
}

/*
 * Whether a line of the files is one that @fits accepts; @where, if it is not NULL, tells
 * of which.
 */
static bool files_have(const char *pattern, bool (*fits)(const char *line, const void *arg),
		       const void *arg, char *where, size_t size)
{
	char line[512];
	bool found = false;
	glob_t files;
	size_t i;
	FILE *f;

	if (glob(pattern, GLOB_BRACE, NULL, &files))
		return false;
	for (i = 0; i < files.gl_pathc && !found; i++) {
		f = fopen(files.gl_pathv[i], "re");
		while (f && !found && fgets(line, sizeof(line), f))
			found = fits(line, arg);
		if (found && where)
			snprintf(where, size, "%s", files.gl_pathv[i]);
		if (f)
			fclose(f);
	}
	globfree(&files);
	return found;
}

/* A line of modprobe.d that keeps the module from being loaded. */
static bool is_block(const char *line, const void *unused)
{
	(void)unused;
	line += strspn(line, " \t");
	return !strncmp(line, "blacklist ferry", 15) || !strncmp(line, "install ferry", 13);
}

/* The module that depmod has listed for a kernel. */
static bool find_module(const char *release, char *path, size_t size)
{
	char index[PATH_MAX], line[4096], *end, *name;
	bool found = false;
	FILE *f;

	snprintf(index, sizeof(index), "/lib/modules/%s/modules.dep", release);
	f = fopen(index, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		end = strchr(line, ':');
		if (!end)
			continue;
		*end = '\0';
		name = strrchr(line, '/');
		found = !strncmp(name ? name + 1 : line, "ferry.ko", 8);
		if (found)
			snprintf(path, size, "%s%s%s", *line == '/' ? "" : "/lib/modules/",
				 *line == '/' ? "" : release, *line == '/' ? "" : "/");
		if (found)
			strncat(path, line, size - strlen(path) - 1);
	}
	if (f)
		fclose(f);
	return found;
}

static void check_kernel(void)
{
	int major = 0, minor = 0;

	uname(&doctor.kernel);
	sscanf(doctor.kernel.release, "%d.%d", &major, &minor);
	if (major < 6 || (major == 6 && minor < 1))
		tell("kernel", BAD, "boot Linux 6.1 or later",
		     "Linux %s is older than ferry.ko knows", doctor.kernel.release);
	else
		tell("kernel", FINE, NULL, "Linux %s, %s", doctor.kernel.release,
		     doctor.kernel.machine);
}

static void check_family(void)
{
	int fd = socket(AF_FERRY, SOCK_STREAM, 0);
	char version[64] = "";
	int err = errno;

	doctor.works = fd >= 0;
	if (fd >= 0) {
		close(fd);
		read_line("/sys/module/ferry/srcversion", version, sizeof(version));
		tell("family", FINE, NULL, "AF_FERRY works, ferry.ko is loaded%s%s",
		     *version ? ", srcversion " : "", version);
	} else if (err != EAFNOSUPPORT) {
		tell("family", BAD, NULL, "socket(AF_FERRY) fails: %s", strerror(err));
	} else {
		tell("family", BAD, "see below what keeps the module from being loaded",
		     "this kernel has no AF_FERRY");
	}
}

/* Kernels that have the module, for those who have booted another one. */
static void other_kernels(char *list, size_t size)
{
	char path[PATH_MAX], *release;
	glob_t dirs;
	size_t i;

	*list = '\0';
	if (glob("/lib/modules/*", 0, NULL, &dirs))
		return;
	for (i = 0; i < dirs.gl_pathc; i++) {
		release = strrchr(dirs.gl_pathv[i], '/') + 1;
		if (!find_module(release, path, sizeof(path)))
			continue;
		snprintf(list + strlen(list), size - strlen(list), "%s%s", *list ? ", " : "",
			 release);
	}
	globfree(&dirs);
}

static void check_module(void)
{
	char others[512], where[PATH_MAX], pattern[PATH_MAX];
	glob_t files = {};

	if (find_module(doctor.kernel.release, doctor.module, sizeof(doctor.module))) {
		if (doctor.works)
			tell("module", FINE, NULL, "%s", doctor.module);
		else if (files_have("{/etc,/run,/lib}/modprobe.d/*.conf", is_block, NULL, where,
				    sizeof(where)))
			tell("module", BAD, "take the line out, or load it by hand: modprobe ferry",
			     "%s is kept from being loaded by %s", doctor.module, where);
		else
			tell("module", BAD, "modprobe ferry, as root, and dmesg say why",
			     "%s is there, but not loaded", doctor.module);
		return;
	}
	snprintf(pattern, sizeof(pattern), "/lib/modules/%s/{updates,updates/dkms,extra}/ferry.ko*",
		 doctor.kernel.release);
	if (!glob(pattern, GLOB_BRACE, NULL, &files)) {
		tell("module", doctor.works ? NOTE : BAD, "depmod, as root",
		     "%s is there, but not in the index of modules", files.gl_pathv[0]);
		globfree(&files);
		return;
	}
	other_kernels(others, sizeof(others));
	tell("module", doctor.works ? NOTE : BAD,
	     "make && make modules_install, as root; DKMS does it for each new kernel",
	     "none is installed for this kernel%s%s%s",
	     *others ? ", but for " : "", others,
	     doctor.works ? "; the loaded one is gone after a restart" : "");
}

/* Building one is a cure only while there is none. */
static enum verdict build_verdict(void)
{
	return doctor.works || *doctor.module ? NOTE : BAD;
}

static bool in_path(const char *program)
{
	char dirs[PATH_MAX], *dir, *rest = dirs;

	snprintf(dirs, sizeof(dirs), "%s", getenv("PATH") ?: "/usr/bin:/bin");
	while ((dir = strsep(&rest, ":")))
		if (have_file("%s/%s", dir, program))
			return true;
	return false;
}

static void check_build(void)
{
	const char *release = doctor.kernel.release;
	char cure[256];

	if (have_file("/lib/modules/%s/build/Makefile", release)) {
		tell("headers", FINE, NULL, "/lib/modules/%s/build", release);
	} else {
		snprintf(cure, sizeof(cure),
			 "apt install linux-headers-%s, or what your system calls it", release);
		tell("headers", build_verdict(), cure,
		     "none in /lib/modules/%s/build, so no module can be built", release);
	}
	if (in_path("make") && (in_path("gcc") || in_path("cc")))
		tell("compiler", FINE, NULL, "make and a compiler are installed");
	else
		tell("compiler", build_verdict(),
		     "apt install make gcc, or what your system calls them",
		     "make or gcc is not installed, so no module can be built");
}

/* [integrity] and [confidentiality] ask for signatures. */
static const char *lockdown_mode(void)
{
	static char line[128];
	char *begin, *end;

	if (!read_line("/sys/kernel/security/lockdown", line, sizeof(line)))
		return "none";
	begin = strchr(line, '[');
	end = strchr(line, ']');
	if (!begin || !end)
		return "none";
	*end = '\0';
	return begin + 1;
}

static bool secure_boot(void)
{
	static const char path[] =
		"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
	unsigned char value[5] = {};
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	if (fread(value, 1, sizeof(value), f) != sizeof(value))
		value[4] = 0;
	fclose(f);
	return value[4] == 1;
}

static bool is_signed(const char *path)
{
	static const char magic[] = "~Module signature appended~\n";
	char tail[sizeof(magic)] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	if (!fseek(f, -(long)strlen(magic), SEEK_END) && !fread(tail, strlen(magic), 1, f))
		*tail = '\0';
	fclose(f);
	return !strcmp(tail, magic);
}

static void check_signature(void)
{
	bool locked = strcmp(lockdown_mode(), "none");
	char enforce[8] = "N", line[8] = "0";

	if (read_line("/proc/sys/kernel/modules_disabled", line, sizeof(line)) && *line == '1')
		tell("loading", doctor.works ? NOTE : BAD,
		     "restart, and load ferry.ko before kernel.modules_disabled is set",
		     "this kernel loads no modules any more");
	read_line("/sys/module/module/parameters/sig_enforce", enforce, sizeof(enforce));
	if (!locked && *enforce != 'Y')
		tell("signature", FINE, NULL, "this kernel asks for none%s",
		     secure_boot() ? ", although Secure Boot is on" : "");
	else if (doctor.works)
		tell("signature", FINE, NULL, "this kernel asks for one, and has loaded ferry.ko");
	else
		tell("signature", *doctor.module && is_signed(doctor.module) ? NOTE : BAD,
		     "sign it with a key that you enrol (mokutil --import), or Secure Boot off",
		     "this kernel loads signed modules only (lockdown: %s, Secure Boot: %s)",
		     lockdown_mode(), secure_boot() ? "on" : "off");
}

/* A line of /proc/net/tcp and its like: a socket bound to a port, in a state. */
static bool is_bound(const char *line, const void *arg)
{
	const unsigned int *want = arg;
	unsigned int port, state;

	return sscanf(line, " %*u: %*[0-9A-F]:%x %*s %x", &port, &state) == 2 &&
	       port == want[0] && state == want[1];
}

/* Whether a socket of the kernel's own is bound to a port of a namespace. */
static bool port_open(const char *pattern, unsigned int port, unsigned int state)
{
	return files_have(pattern, is_bound, (unsigned int []){ port, state }, NULL, 0);
}

static void check_port(void)
{
	unsigned int port;
	char line[32];
	bool tcp, udp;

	if (!read_line("/proc/sys/net/ferry/port", line, sizeof(line))) {
		if (doctor.works)
			tell("port", NOTE, NULL,
			     "no net.ferry.port: names are reached on this host only");
		return;
	}
	port = strtoul(line, NULL, 10);
	if (!port) {
		tell("port", NOTE, "sysctl net.ferry.port=NUMBER, as root, opens it to other hosts",
		     "net.ferry.port is 0: names are reached on this host only");
		return;
	}
	/* TCP_LISTEN, and TCP_CLOSE as of any UDP socket that is not connected. */
	tcp = port_open("/proc/net/{tcp,tcp6}", port, 0x0a);
	udp = port_open("/proc/net/{udp,udp6}", port, 0x07);
	if (tcp && udp)
		tell("port", FINE, NULL,
		     "port %u is open for TCP and UDP; a firewall must let both in", port);
	else
		tell("port", BAD, "set net.ferry.port to 0 and again to the number; see dmesg",
		     "net.ferry.port is %u, but it is not open for %s", port,
		     tcp ? "UDP" : udp ? "TCP" : "TCP and UDP");
}

static void tell_nul_tail(const struct sock_info *s, const struct holders *holders)
{
	size_t tail = address_nul_tail(&s->name), n;
	const struct holder *h = holders_of(holders, s->ino, &n);
	struct address shorter = s->name;
	char name[ADDRESS_TEXT_SIZE];

	shorter.len -= tail;
	address_text(&shorter, name);
	tell("names", BAD,
	     "bind(2) with FERRY_ADDR_LEN(strlen(name)), not the size of the structure",
	     "'%s' of %s (pid %d) is bound with %zu NUL bytes at its end, so nobody finds it", name,
	     h ? h->comm : "?", h ? h->pid : 0, tail);
}

static void check_names(void)
{
	struct holders holders = {};
	struct sock_list list;
	bool fine = true;
	size_t i;
	int err;

	if (!doctor.works)
		return;
	err = sock_list_get(&list);
	if (err) {
		tell("names", BAD, "load sock_diag: modprobe sock_diag, as root",
		     "the kernel does not tell its sockets: %s", strerror(err));
		return;
	}
	for (i = 0; i < list.n; i++) {
		if (!address_nul_tail(&list.socks[i].name) || list.socks[i].mode < 0)
			continue;
		if (fine)
			holders_get(&holders);
		tell_nul_tail(&list.socks[i], &holders);
		fine = false;
	}
	if (fine)
		tell("names", FINE, NULL, "%zu sockets, no name ends in NUL bytes", list.n);
	holders_free(&holders);
	sock_list_free(&list);
}

int cmd_doctor(int argc, char **argv)
{
	/* There is but one. */
	while (option_next(argc, argv, &syntax, NULL) != -1)
		doctor.json = true;
	if (optind < argc)
		fail(FERRY_USAGE, "'%s' is left over; see %s --help", argv[optind], command_name);

	doctor.list = json_object_new_array();
	check_kernel();
	check_family();
	check_module();
	check_build();
	check_signature();
	check_port();
	check_names();
	if (doctor.json)
		puts(json_object_to_json_string_ext(doctor.list, JSON_C_TO_STRING_PRETTY |
						    JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (!doctor.bad)
		puts("all is well");
	else
		printf("%d to mend\n", doctor.bad);
	json_object_put(doctor.list);
	return output_end(doctor.bad ? FERRY_ERROR : FERRY_OK);
}
