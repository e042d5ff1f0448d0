#!/bin/sh
# jemalloc.sh CC OBJECT - make our private jemalloc, one relocatable object, from Debian's
# libjemalloc_pic.a.
#
#   every symbol gets the prefix mpj_       the program's malloc and ours never meet
#   what it needs of libc loses it again    but for STUBS: those stay undefined as mpj_NAME, and heap.c
#                                           answers them
#   no .init_array                          it starts on first use, a program that never allocates here
#                                           pays nothing
#   all but KEEP becomes local              nothing of it can be exported
set -eu

CC=$1
OBJECT=$2

KEEP='malloc calloc realloc free mallctl malloc_conf malloc_message'

# The environment, /etc/malloc.conf, the stack unwinder, the program's break and its fork handlers are
# none of our business; the rest belongs to jemalloc's profiler and background thread, which are off,
# and would only cost symbol look-ups (and libm) at each program start.
STUBS='secure_getenv readlink _Unwind_Backtrace _Unwind_GetIP pthread_atfork atexit sbrk
	exp log round creat open getpid gettimeofday strcpy strerror_r dlsym __ctype_b_loc _exit
	pthread_create pthread_join pthread_sigmask sigfillset sched_setaffinity
	pthread_getname_np pthread_setname_np
	pthread_cond_init pthread_cond_signal pthread_cond_timedwait pthread_cond_wait'

archive=$("$CC" -print-file-name=libjemalloc_pic.a)
if [ ! -f "$archive" ]; then
	echo "libjemalloc_pic.a is missing: apt-get install libjemalloc-dev" >&2
	exit 1
fi

work=$OBJECT.tmp
rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
cp "$archive" "$work/archive.a"
(
	cd "$work"
	ar d archive.a jemalloc_cpp.pic.o
	ld -r --whole-archive -o all.o archive.a
	nm -u all.o | awk '{ print $NF }' | sort >undefined
	printf '%s\n' $STUBS | sort >stubs
	comm -23 undefined stubs | awk '{ print "mpj_" $1, $1 }' >rename
	objcopy --remove-section .init_array --remove-section .rela.init_array \
		--remove-section .rel.init_array --prefix-symbols=mpj_ all.o prefixed.o
	printf 'mpj_%s\n' $KEEP >keep
	objcopy --redefine-syms=rename prefixed.o renamed.o
	objcopy --keep-global-symbols=keep renamed.o private.o
)
mv "$work/private.o" "$OBJECT"
