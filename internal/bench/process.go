package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every Linux port that Go has.
const tick = 10 * time.Millisecond

// CPUTime returns the CPU time that a process has used, in user and in system mode. Its threads' own clocks count nanoseconds,
// but forget threads that have ended; they are used as long as they agree with the process's clock.
func CPUTime(pid int) (time.Duration, error) {
	coarse, err := ticksUsed(pid)
	if err != nil {
		return 0, err
	}
	if fine, ok := threadTime(pid); ok && (fine-coarse).Abs() < 3*tick {
		return fine, nil
	}
	return coarse, nil
}

// ticksUsed reads the process's clock.
func ticksUsed(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	// the command's name may hold anything; the fields behind it are counted from the state, which is the third
	_, rest, found := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	if !found || len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has another form than proc(5) says", pid)
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, the fields 14 and 15
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// threadTime adds up the threads' clocks, the first field of /proc/PID/task/TID/schedstat. Not every kernel has them.
func threadTime(pid int) (time.Duration, bool) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, false
	}
	var sum int64
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(b), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, false
		}
		sum += n
	}
	return time.Duration(sum), true
}

// ResidentBytes returns the memory of a process that is in RAM.
func ResidentBytes(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		value, found := bytes.CutPrefix(line, []byte("VmRSS:"))
		if !found {
			continue
		}
		fields := bytes.Fields(value)
		if len(fields) != 2 {
			break
		}
		kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
		return kib << 10, err
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmRSS", pid)
}

// usage is what a process has used at one time.
type usage struct {
	at       time.Time
	cpu, own time.Duration // the broker's and this process's
	memory   int64
}

// usageNow reads the broker's usage, if its process is known, and that of this process, where the system tells.
func usageNow(pid int) (usage, error) {
	u := usage{at: time.Now()}
	u.own, _ = CPUTime(os.Getpid()) // nice to have; only Linux has it
	if pid == 0 {
		return u, nil
	}
	var err error
	if u.cpu, err = CPUTime(pid); err != nil {
		return u, err
	}
	u.memory, err = ResidentBytes(pid)
	return u, err
}
