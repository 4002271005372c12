// SPDX-License-Identifier: GPL-2.0
/* Results in memory and in their file. */
#include "bench.h"

#include <error.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static int compare_values(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The median. */
double result_value(const struct result *result)
{
	double sorted[REPEAT_MAX];

	if (!result || !result->count)
		return 0;
	memcpy(sorted, result->values, sizeof(sorted));
	qsort(sorted, result->count, sizeof(sorted[0]), compare_values);
	if (result->count % 2)
		return sorted[result->count / 2];
	return (sorted[result->count / 2 - 1] + sorted[result->count / 2]) / 2;
}

/* Half of what lies between the smallest and the largest, of the median. */
double result_spread(const struct result *result)
{
	double least, most;

	if (!result || !result->count)
		return 0;
	least = result->values[0];
	most = result->values[0];
	for (int i = 1; i < result->count; i++) {
		if (result->values[i] < least)
			least = result->values[i];
		if (result->values[i] > most)
			most = result->values[i];
	}
	return (most - least) / 2 / result_value(result);
}

struct result *results_find(const struct results *results, const char *peer, const char *cell,
			    long parameter)
{
	for (size_t i = 0; i < results->count; i++) {
		struct result *result = &results->list[i];

		if (result->parameter == parameter && !strcmp(result->peer, peer) &&
		    !strcmp(result->cell, cell))
			return result;
	}
	return NULL;
}

struct result *results_add(struct results *results, const char *peer, const char *cell,
			   long parameter)
{
	struct result *result;

	results->list = realloc(results->list, (results->count + 1) * sizeof(*result));
	if (!results->list) {
		perror("ferry-bench");
		exit(1);
	}
	result = &results->list[results->count++];
	memset(result, 0, sizeof(*result));
	snprintf(result->peer, sizeof(result->peer), "%s", peer);
	snprintf(result->cell, sizeof(result->cell), "%s", cell);
	result->parameter = parameter;
	return result;
}

static void add_string(struct json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

static void add_double(struct json_object *to, const char *key, double value)
{
	char text[32];

	/* Three decimals: more are noise and make the file hard to read. */
	snprintf(text, sizeof(text), "%.3f", value);
	json_object_object_add(to, key, json_object_new_double_s(value, text));
}

static struct json_object *result_to_json(const struct result *result)
{
	struct json_object *object = json_object_new_object();
	struct json_object *values;

	add_string(object, "peer", result->peer);
	add_string(object, "cell", result->cell);
	if (result->parameter)
		json_object_object_add(object, "parameter",
				       json_object_new_int64(result->parameter));
	if (result->error[0]) {
		add_string(object, "error", result->error);
		return object;
	}
	add_string(object, "unit", result->unit);
	add_double(object, "median", result_value(result));
	values = json_object_new_array();
	for (int i = 0; i < result->count; i++) {
		char text[32];

		snprintf(text, sizeof(text), "%.3f", result->values[i]);
		json_object_array_add(values, json_object_new_double_s(result->values[i], text));
	}
	json_object_object_add(object, "values", values);
	if (!strcmp(result->cell, "throughput") || !strcmp(result->cell, "zerocopy")) {
		double ns = result_value(result);

		add_double(object, "messages_per_second", 1e9 / ns);
		add_double(object, "bytes_per_second", 1e9 / ns * result->parameter);
	}
	if (result->operations)
		json_object_object_add(object, "operations",
				       json_object_new_int64(result->operations));
	if (result->p99)
		add_double(object, "p99", result->p99);
	if (result->extra_name[0])
		add_double(object, result->extra_name, result->extra);
	return object;
}

int results_save(const struct results *results, FILE *file)
{
	struct json_object *root = json_object_new_object();
	struct json_object *machine = json_object_new_object();
	struct json_object *absent = json_object_new_object();
	struct json_object *list = json_object_new_array();
	int error;

	add_string(root, "program", "ferry-bench");
	add_string(root, "command", results->command);
	add_string(root, "date", results->date);
	add_string(root, "mode", results->machine.counted ? "counted" : "parallel");
	add_string(machine, "kernel", results->machine.kernel);
	add_string(machine, "version", results->machine.version);
	add_string(machine, "cpu", results->machine.cpu);
	json_object_object_add(machine, "cpus", json_object_new_int(results->machine.cpus));
	add_string(machine, "cmdline", results->machine.cmdline);
	add_string(machine, "clocksource", results->machine.clocksource);
	add_double(machine, "ns_per_instruction", results->machine.ns_per_instruction);
	add_double(machine, "clock_cost", results->machine.clock_cost);
	json_object_object_add(root, "machine", machine);
	for (size_t i = 0; i < results->absent_count; i++)
		add_string(absent, results->absent[i].peer, results->absent[i].why);
	json_object_object_add(root, "absent", absent);
	for (size_t i = 0; i < results->count; i++)
		json_object_array_add(list, result_to_json(&results->list[i]));
	json_object_object_add(root, "results", list);
	error = fprintf(file, "%s\n",
			json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
						       JSON_C_TO_STRING_NOSLASHESCAPE)) < 0;
	json_object_put(root);
	return error || fflush(file) ? -1 : 0;
}

static const char *get_string(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? json_object_get_string(value) : "";
}

static double get_double(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? json_object_get_double(value) : 0;
}

static void result_from_json(struct results *results, struct json_object *object)
{
	static const char * const extras[] = { "copied", "scaling", "writes per pair" };
	struct result *result;
	struct json_object *values;

	result = results_add(results, get_string(object, "peer"), get_string(object, "cell"),
			     get_double(object, "parameter"));
	snprintf(result->unit, sizeof(result->unit), "%s", get_string(object, "unit"));
	snprintf(result->error, sizeof(result->error), "%s", get_string(object, "error"));
	result->p99 = get_double(object, "p99");
	result->operations = get_double(object, "operations");
	for (size_t i = 0; i < ARRAY_SIZE(extras); i++) {
		if (!json_object_object_get_ex(object, extras[i], NULL))
			continue;
		snprintf(result->extra_name, sizeof(result->extra_name), "%s", extras[i]);
		result->extra = get_double(object, extras[i]);
	}
	if (!json_object_object_get_ex(object, "values", &values))
		return;
	result->count = json_object_array_length(values);
	if (result->count > REPEAT_MAX)
		result->count = REPEAT_MAX;
	for (int i = 0; i < result->count; i++)
		result->values[i] = json_object_get_double(json_object_array_get_idx(values, i));
}

static void load_absent(struct results *results, struct json_object *absent)
{
	json_object_object_foreach(absent, peer, why) {
		size_t i = results->absent_count;

		if (i == ARRAY_SIZE(results->absent))
			break;
		snprintf(results->absent[i].peer, sizeof(results->absent[i].peer), "%s", peer);
		snprintf(results->absent[i].why, sizeof(results->absent[i].why), "%s",
			 json_object_get_string(why));
		results->absent_count++;
	}
}

int results_load(struct results *results, const char *path)
{
	struct json_object *root = json_object_from_file(path);
	struct json_object *machine, *absent, *list;

	memset(results, 0, sizeof(*results));
	if (!root || !json_object_object_get_ex(root, "machine", &machine) ||
	    !json_object_object_get_ex(root, "results", &list)) {
		error(0, 0, "%s holds no results", path);
		json_object_put(root);
		return -1;
	}
	snprintf(results->command, sizeof(results->command), "%s", get_string(root, "command"));
	snprintf(results->date, sizeof(results->date), "%s", get_string(root, "date"));
	results->machine.counted = !strcmp(get_string(root, "mode"), "counted");
	results->machine.cpus = get_double(machine, "cpus");
	results->machine.ns_per_instruction = get_double(machine, "ns_per_instruction");
	results->machine.clock_cost = get_double(machine, "clock_cost");
	snprintf(results->machine.kernel, sizeof(results->machine.kernel), "%s",
		 get_string(machine, "kernel"));
	snprintf(results->machine.version, sizeof(results->machine.version), "%s",
		 get_string(machine, "version"));
	snprintf(results->machine.cpu, sizeof(results->machine.cpu), "%s",
		 get_string(machine, "cpu"));
	snprintf(results->machine.cmdline, sizeof(results->machine.cmdline), "%s",
		 get_string(machine, "cmdline"));
	snprintf(results->machine.clocksource, sizeof(results->machine.clocksource), "%s",
		 get_string(machine, "clocksource"));
	if (json_object_object_get_ex(root, "absent", &absent))
		load_absent(results, absent);
	for (size_t i = 0; i < json_object_array_length(list); i++)
		result_from_json(results, json_object_array_get_idx(list, i));
	json_object_put(root);
	return 0;
}
