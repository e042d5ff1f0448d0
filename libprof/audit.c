/*
 * audit.c - finding our entry without knowing where _PyRuntime keeps the list.
 *
 *   _PyRuntime ... audit_hooks.head --> entry { next, hook, data } --> entry ...
 *
 * Adding a hook changes one word: the head, or the last entry's next.  The head is the word of
 * _PyRuntime from which our entry can be reached along `next`; with no other hook it is the word that
 * has just changed.
 */
#include "audit.h"

#include "os.h"

#define RUNTIME_BYTES 16384 /* the list's head lies within 11000, in every version */
#define CHAIN_MOST 64

/* _Py_AuditHookEntry: the same in every version since 3.8. */
struct audit_entry {
	struct audit_entry *next;
	pyapi_audit_hook *hook;
	void *data;
};

static struct {
	struct audit_entry **head; /* in _PyRuntime; NULL: not found, the entry stays linked */
	struct audit_entry *entry;
	bool is_linked;
} audit;

static bool reaches(uintptr_t from, pyapi_audit_hook *hook);
static void find_head(const uintptr_t *before, pyapi_audit_hook *hook);
static bool try_head(uintptr_t *word, pyapi_audit_hook *hook);

errmsg audit_add(pyapi_audit_hook *hook)
{
	uintptr_t before[RUNTIME_BYTES / sizeof(uintptr_t)];

	bool readable = os_read(before, (uintptr_t)py._PyRuntime, sizeof(before));

	if (py.PySys_AddAuditHook(hook, &audit) != 0)
		return "CPython refuses an audit hook: not profiled";
	audit.head = NULL;
	audit.is_linked = true;
	if (readable)
		find_head(before, hook);
	return NULL;
}

void audit_unlink(void)
{
	struct audit_entry **link = audit.head;

	if (!link || !audit.is_linked)
		return;
	while (*link && *link != audit.entry)
		link = &(*link)->next;
	if (*link)
		*link = audit.entry->next;
	audit.is_linked = false;
}

void audit_link(void)
{
	if (!audit.head || audit.is_linked)
		return;
	audit.entry->next = *audit.head;
	*audit.head = audit.entry;
	audit.is_linked = true;
}

static void find_head(const uintptr_t *before, pyapi_audit_hook *hook)
{
	uintptr_t *words = (uintptr_t *)(uintptr_t)py._PyRuntime;
	size_t count = RUNTIME_BYTES / sizeof(uintptr_t);

	for (size_t i = 0; i < count; i++) {
		if (words[i] != before[i] && try_head(&words[i], hook))
			return;
	}
	for (size_t i = 0; i < count; i++) {
		if (before[i] > RUNTIME_BYTES && try_head(&words[i], hook))
			return;
	}
}

static bool try_head(uintptr_t *word, pyapi_audit_hook *hook)
{
	if (!reaches(*word, hook))
		return false;
	audit.head = (struct audit_entry **)(void *)word;
	return true;
}

/* Is our entry on the chain that begins at `from`? Any word may be asked about. */
static bool reaches(uintptr_t from, pyapi_audit_hook *hook)
{
	struct audit_entry entry;

	for (unsigned i = 0; i < CHAIN_MOST && from && from % sizeof(void *) == 0; i++) {
		if (!os_read(&entry, from, sizeof(entry)))
			return false;
		if (entry.hook == hook && entry.data == &audit) {
			audit.entry = (struct audit_entry *)from;
			return true;
		}
		from = (uintptr_t)entry.next;
	}
	return false;
}
