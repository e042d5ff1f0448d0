/*
 * log.c - one line to stderr per problem, and the bounded formatter that everyone uses instead of
 * snprintf (which may allocate, and is not ours to call in the host's heap).
 *
 * A line is put together in a buffer on the stack and leaves in one write(2), so lines of several
 * threads never mix and no lock is needed.
 *
 * Where our own thread does not reach the program's stderr, its first line is kept for a thread that does.
 */
#include "log.h"
#include "os.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#define LOG_LINE_BYTES 512
#define LOG_KEPT_SAID (LOG_LINE_BYTES + 1)

static struct {
	_Atomic bool quiet;
	_Atomic pid_t diverted; /* the thread of log_divert */
	char kept[LOG_LINE_BYTES]; /* written by that thread */
	pid_t kept_pid; /* a fork's child says nothing of its parent */
	_Atomic uint32_t
		kept_bytes; /* release: they are whole; LOG_KEPT_SAID: and have been written */
} log_state;

/* Where a formatted text goes; counts no further than it can hold. */
struct log_text {
	char *bytes;
	size_t length, capacity; /* capacity is less the final NUL */
};

/* One conversion: %[-][0][width][.precision][l|ll|z]letter */
struct log_conversion {
	bool left, zeros;
	int width, precision; /* precision -1: none */
	int longs; /* 0 int, 1 long, 2 long long or size_t */
	char letter;
};

static void log_keep(const char *line, size_t length);
static void log_put(struct log_text *text, const char *bytes, size_t length);
static const char *log_conversion(struct log_conversion *conversion, const char *format,
				  va_list *values);
static void log_convert(struct log_text *text, const struct log_conversion *conversion,
			va_list *values);

void log_quiet(bool quiet)
{
	atomic_store_explicit(&log_state.quiet, quiet, memory_order_relaxed);
}

void log_divert(pid_t tid)
{
	atomic_store(&log_state.diverted, tid);
}

void log_line(const char *format, ...)
{
	char line[LOG_LINE_BYTES];
	va_list values;
	size_t length;

	if (atomic_load_explicit(&log_state.quiet, memory_order_relaxed))
		return;
	length = log_format(line, sizeof(line), "monprof[%d]: ", (int)os_getpid());
	va_start(values, format);
	length += log_vformat(line + length, sizeof(line) - length - 1, format, values);
	va_end(values);
	line[length++] = '\n';
	/* A stderr that cannot be written to is not a problem that could be told to anyone. */
	if (atomic_load(&log_state.diverted) != os_gettid())
		(void)os_write(2, line, length);
	else if (os_write_program(2, line, length) == -EMFILE)
		log_keep(line, length);
}

static void log_keep(const char *line, size_t length)
{
	if (atomic_load_explicit(&log_state.kept_bytes, memory_order_relaxed))
		return;
	memcpy(log_state.kept, line, length);
	log_state.kept_pid = os_getpid();
	atomic_store_explicit(&log_state.kept_bytes, (uint32_t)length, memory_order_release);
}

void log_kept(void)
{
	uint32_t length = atomic_load_explicit(&log_state.kept_bytes, memory_order_acquire);

	if (length && length != LOG_KEPT_SAID && log_state.kept_pid == os_getpid() &&
	    atomic_compare_exchange_strong(&log_state.kept_bytes, &length, LOG_KEPT_SAID))
		(void)os_write(2, log_state.kept, length);
}

size_t log_format(char *buffer, size_t size_bytes, const char *format, ...)
{
	va_list values;
	size_t length;

	va_start(values, format);
	length = log_vformat(buffer, size_bytes, format, values);
	va_end(values);
	return length;
}

size_t log_vformat(char *buffer, size_t size_bytes, const char *format, va_list arguments)
{
	struct log_text text = { buffer, 0, size_bytes - 1 };
	struct log_conversion conversion;
	va_list values;

	if (!size_bytes)
		return 0;
	va_copy(values, arguments);
	while (*format) {
		size_t plain = strcspn(format, "%");

		log_put(&text, format, plain);
		format += plain;
		if (!*format)
			break;
		format = log_conversion(&conversion, format + 1, &values);
		log_convert(&text, &conversion, &values);
	}
	va_end(values);
	buffer[text.length] = '\0';
	return text.length;
}

static void log_put(struct log_text *text, const char *bytes, size_t length)
{
	size_t room = text->capacity - text->length;

	if (length > room)
		length = room;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

static const char *log_number(const char *format, int *number, va_list *values)
{
	*number = 0;
	if (*format == '*') {
		*number = va_arg(*values, int);
		return format + 1;
	}
	for (; *format >= '0' && *format <= '9'; format++)
		*number = *number < 1000 ? *number * 10 + (*format - '0') : *number;
	return format;
}

/* Read one conversion from behind its %; returns what follows it. */
static const char *log_conversion(struct log_conversion *conversion, const char *format,
				  va_list *values)
{
	memset(conversion, 0, sizeof(*conversion));
	conversion->precision = -1;
	for (; *format == '-' || *format == '0'; format++) {
		conversion->left |= *format == '-';
		conversion->zeros |= *format == '0';
	}
	format = log_number(format, &conversion->width, values);
	if (*format == '.')
		format = log_number(format + 1, &conversion->precision, values);
	for (; *format == 'l' || *format == 'z'; format++)
		conversion->longs += *format == 'z' ? 2 : 1;
	conversion->letter = *format;
	return *format ? format + 1 : format;
}

static void log_pad(struct log_text *text, char filler, int width, size_t length)
{
	for (size_t i = length; width > 0 && i < (size_t)width; i++)
		log_put(text, &filler, 1);
}

static void log_put_padded(struct log_text *text, const struct log_conversion *conversion,
			   const char *bytes, size_t length)
{
	if (!conversion->left)
		log_pad(text, ' ', conversion->width, length);
	log_put(text, bytes, length);
	if (conversion->left)
		log_pad(text, ' ', conversion->width, length);
}

static void log_put_string(struct log_text *text, const struct log_conversion *conversion,
			   const char *string)
{
	size_t most = conversion->precision < 0 ? SIZE_MAX : (size_t)conversion->precision;

	if (!string)
		string = "(null)";
	log_put_padded(text, conversion, string, strnlen(string, most));
}

static void log_put_unsigned(struct log_text *text, const struct log_conversion *conversion,
			     unsigned long long number, bool negative)
{
	unsigned int base = conversion->letter == 'x' ? 16 : 10;
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	if (conversion->zeros && !conversion->left) {
		size_t length = sizeof(digits) - at;

		if (negative)
			log_put(text, "-", 1);
		log_pad(text, '0', conversion->width - negative, length);
		log_put(text, digits + at, length);
		return;
	}
	if (negative)
		digits[--at] = '-';
	log_put_padded(text, conversion, digits + at, sizeof(digits) - at);
}

static long long log_signed(const struct log_conversion *conversion, va_list *values)
{
	if (conversion->longs == 0)
		return va_arg(*values, int);
	if (conversion->longs == 1)
		return va_arg(*values, long);
	return va_arg(*values, long long);
}

static unsigned long long log_unsigned(const struct log_conversion *conversion, va_list *values)
{
	if (conversion->longs == 0)
		return va_arg(*values, unsigned int);
	if (conversion->longs == 1)
		return va_arg(*values, unsigned long);
	return va_arg(*values, unsigned long long);
}

static void log_convert(struct log_text *text, const struct log_conversion *conversion,
			va_list *values)
{
	long long number;
	char byte;

	switch (conversion->letter) {
	case 's':
		log_put_string(text, conversion, va_arg(*values, const char *));
		break;
	case 'd':
		number = log_signed(conversion, values);
		log_put_unsigned(text, conversion,
				 number < 0 ? 0ull - (unsigned long long)number :
					      (unsigned long long)number,
				 number < 0);
		break;
	case 'u':
	case 'x':
		log_put_unsigned(text, conversion, log_unsigned(conversion, values), false);
		break;
	case 'c':
		byte = (char)va_arg(*values, int);
		log_put_padded(text, conversion, &byte, 1);
		break;
	default:
		/* "%%", or a conversion that the format attribute lets pass and we do not have. */
		log_put(text, "%", 1);
		break;
	}
}
