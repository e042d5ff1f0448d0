// go_library.go - a Go runtime inside of a Python: its scheduler sends SIGURG to its own threads.
package main

import "C"

import (
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

var stop uint32

//export go_preempts
func go_preempts(times C.int) C.int {
	// The loop calls nothing: on one processor only a signal makes room for others.
	runtime.GOMAXPROCS(1)
	for i := 0; i < int(times); i++ {
		atomic.StoreUint32(&stop, 0)
		go func() {
			for atomic.LoadUint32(&stop) == 0 {
			}
		}()
		time.Sleep(time.Millisecond)
		atomic.StoreUint32(&stop, 1)
	}
	return times
}

//export go_notified
func go_notified() C.int {
	// Installs the runtime's handler anew.
	came := make(chan os.Signal, 1)
	signal.Notify(came, syscall.SIGURG)
	for {
		syscall.Kill(syscall.Getpid(), syscall.SIGURG)
		select {
		case got := <-came:
			return C.int(got.(syscall.Signal))
		case <-time.After(time.Second):
		}
	}
}

func main() {}
