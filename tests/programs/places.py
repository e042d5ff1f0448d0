"""A program that changes the ground under its feet: places.py KIND [argument]."""

import os
import resource
import sys
import threading

from burn import burn


def kind_nothing():
    burn(0.3)


def kind_chdir():
    burn(0.1)
    os.chdir("/")
    burn(0.2)


def kind_close_all():
    """Also the three standard ones."""
    burn(0.1)
    os.closerange(0, 4096)
    burn(0.2)


def kind_close_often():
    """What is opened gets the numbers that were free, and is only closed by itself."""
    for _ in range(20):
        os.closerange(3, 256)
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
        assert files == list(range(3, 8)), files
        burn(0.015)
        for descriptor in files:
            os.fstat(descriptor)
    print("done")


def kind_no_descriptors():
    """Every number that it may have is in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, hard))
    files = []
    try:
        while True:
            files.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    burn(0.3)
    for descriptor in files:
        os.close(descriptor)


def kind_few_descriptors():
    """Another program, profiled, that may have no more than ten."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))
    os.environ.pop("MONPROF")
    os.execv(sys.executable, [sys.executable, sys.argv[2]])


def kind_directory_gone():
    """places.py directory_gone: removes where it was started."""
    where = os.getcwd()
    os.chdir("/")
    os.rmdir(where)
    burn(0.3)


def kind_fill():
    """places.py fill: the disk is full before anything is measured."""
    with open("filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError as error:
            assert error.errno == 28, error
    burn(0.4)


def kind_chroot():
    """Another root and another user: nothing can be opened any more."""
    burn(0.1)
    os.chroot(sys.argv[2])
    os.chdir("/")
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    burn(0.2)


def kind_umask():
    os.umask(0o777)
    burn(0.3)


def kind_environment():
    """Settings are read once."""
    os.environ["MONPROF_OUTPUT"] = "other"
    os.environ.pop("LD_PRELOAD", None)
    burn(0.3)


def kind_busy_exit():
    """A thread goes on using the CPU and descriptors while the end is near."""

    def churn():
        while True:
            os.close(os.open("/dev/null", os.O_RDONLY))

    threading.Thread(target=churn, daemon=True).start()
    burn(0.3)


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
