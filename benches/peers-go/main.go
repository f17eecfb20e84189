// The stall workload in Go: the same protocol as src/workloads/stall.rs, on goroutines.
//
// It is started and spoken to as the other servers are: `serve --workload stall`, "ready ADDRESS"
// on standard output, the end of standard input ends it. GOMAXPROCS is 2, as the others have two
// workers.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const (
	frameBytes = 64
	sleep      = 1
	spin       = 2
)

func main() {
	runtime.GOMAXPROCS(2)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Println("error binding:", err)
		os.Exit(1)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("ready", listener.Addr())
	for {
		// Go turns TCP_NODELAY on by itself.
		connection, err := listener.Accept()
		if err != nil {
			fmt.Println("error accepting:", err)
			os.Exit(1)
		}
		go serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	buf := make([]byte, frameBytes)
	for {
		length, err := connection.Read(buf)
		if err != nil {
			return
		}
		if length == frameBytes {
			obey(buf)
		}
		if _, err := connection.Write(buf[:length]); err != nil {
			return
		}
	}
}

func obey(frame []byte) {
	kind := frame[0]
	if kind != sleep && kind != spin {
		return
	}
	length := time.Duration(binary.LittleEndian.Uint32(frame[4:])) * time.Millisecond
	begin := nowNs()
	if kind == sleep {
		// time.Sleep would park the goroutine; what is wanted is a thread in a system call.
		rest := syscall.NsecToTimespec(int64(length))
		for syscall.Nanosleep(&rest, &rest) == syscall.EINTR {
		}
	} else {
		for start := time.Now(); time.Since(start) < length; {
		}
	}
	binary.LittleEndian.PutUint64(frame[8:], begin)
	binary.LittleEndian.PutUint64(frame[16:], nowNs())
}

// nowNs reads the clock that the load generator reads.
func nowNs() uint64 {
	const clockMonotonic = 1
	var time syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&time)), 0)
	return uint64(time.Nano())
}
