"""Small programs that use much of the library: misc.py KIND. Their output is the same every time."""

import sys


def kind_json():
    import json

    value = {str(i): [i, i / 2, None, {"a": "b" * (i % 7)}] for i in range(300)}
    for _ in range(60):
        value = json.loads(json.dumps(value))
    print(len(json.dumps(value)))


def kind_asyncio():
    import asyncio

    async def echo(reader, writer):
        writer.write(await reader.read(100))
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for i in range(40):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"%d" % i)
            assert await reader.read(100) == b"%d" % i
            writer.close()
        server.close()
        await asyncio.to_thread(sorted, range(1000))
        process = await asyncio.create_subprocess_exec("echo", "child", stdout=-1)
        print((await process.communicate())[0])

    asyncio.run(main())


def kind_signals():
    import signal
    import threading
    import time

    seen = []
    signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    while len(seen) < 5:
        time.sleep(0.001)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    print(signal.SIGUSR1 in seen)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    signal.raise_signal(signal.SIGUSR2)
    print(signal.sigwait([signal.SIGUSR2]))
    signal.raise_signal(signal.SIGUSR2)
    print(signal.sigtimedwait([signal.SIGUSR2], 5).si_signo)


def kind_files():
    import hashlib
    import tempfile
    import zlib

    with tempfile.TemporaryFile() as file:
        for i in range(200):
            file.write(zlib.compress(b"%d" % i * 1000))
        file.seek(0)
        print(hashlib.sha256(file.read()).hexdigest())


def kind_profilers():
    """Other tools in the same process."""
    import cProfile
    import io
    import pstats
    import tracemalloc

    tracemalloc.start()
    profile = cProfile.Profile()
    profile.enable()
    kind_json()
    profile.disable()
    text = io.StringIO()
    pstats.Stats(profile, stream=text).print_stats("dumps")
    print("dumps" in text.getvalue(), tracemalloc.get_traced_memory()[1] > 1000)
    calls = []
    sys.settrace(lambda frame, event, argument: calls.append(event))
    kind_deep()
    sys.settrace(None)
    print(len(calls))


def kind_deep():
    def down(levels):
        return 0 if levels == 0 else 1 + down(levels - 1)

    print(sum(down(900) for _ in range(500)))
    try:
        down(10**6)
    except RecursionError as error:
        print(error)


def kind_stack_small():
    """A thread with the smallest stack that Python allows."""
    import threading

    from burn import burn

    threading.stack_size(32768)
    thread = threading.Thread(target=burn, args=(0.3,))
    thread.start()
    thread.join()
    print("done")


def kind_alternate_stack():
    import faulthandler

    from burn import burn

    faulthandler.enable()
    burn(0.3)
    print(faulthandler.is_enabled())


def kind_warnings():
    import warnings

    warnings.warn("mine", stacklevel=1)
    open("/dev/null")  # left open: a ResourceWarning under -X dev


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
