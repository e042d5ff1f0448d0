"""What programs inherit of a signal that is ignored and blocked, by every way to start one."""
import os
import signal
import subprocess
import time

signal.signal(signal.SIGURG, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
start = time.process_time()
while time.process_time() - start < 0.1:
    sum(range(1000))
command = ["/bin/grep", r"SigIgn\|SigBlk", "/proc/self/status"]
print(subprocess.run(command, capture_output=True, text=True).stdout)
for spawned in (os.posix_spawn(command[0], command, os.environ), os.fork()):
    if spawned == 0:
        os.execv(command[0], command)
    os.waitpid(spawned, 0)
