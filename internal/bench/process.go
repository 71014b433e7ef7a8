package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every Linux port that Go has.
const tick = 10 * time.Millisecond

// cpuTime returns the CPU time that a process has used, in user and in system mode.
func cpuTime(pid int) (time.Duration, error) {
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

// residentBytes returns the memory of a process that is in RAM.
func residentBytes(pid int) (int64, error) {
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
	u.own, _ = cpuTime(os.Getpid()) // nice to have; only Linux has it
	if pid == 0 {
		return u, nil
	}
	var err error
	if u.cpu, err = cpuTime(pid); err != nil {
		return u, err
	}
	u.memory, err = residentBytes(pid)
	return u, err
}
