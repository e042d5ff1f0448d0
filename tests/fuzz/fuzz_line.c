/* frames_line survives any table, and says the same for both bytes of a code unit. */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	int firstlineno;
	if (size_bytes < sizeof(firstlineno))
		return 0;
	memcpy(&firstlineno, bytes, sizeof(firstlineno));
	/* A copy of its own, so that a read beyond it is seen */
	size_t table_bytes = size_bytes - sizeof(firstlineno);
	uint8_t *table = malloc(table_bytes + !table_bytes);
	memcpy(table, bytes + sizeof(firstlineno), table_bytes);
	if (frames_line(table, table_bytes, firstlineno, -1) != firstlineno)
		abort();
	for (int offset = 0; offset < 64; offset += 2) {
		int line = frames_line(table, table_bytes, firstlineno, offset);
		if (line < 0 || line != frames_line(table, table_bytes, firstlineno, offset + 1))
			abort();
	}
	/* No table describes more than 8 units in each of its bytes */
	if (frames_line(table, table_bytes, firstlineno, 16 * (int)table_bytes) != 0 ||
	    frames_line(table, table_bytes, firstlineno, INT32_MAX) != 0)
		abort();
	free(table);
	return 0;
}
