//go:build linux && !386

package netio

import "syscall"

const (
	sysACCEPT4     = syscall.SYS_ACCEPT4
	sysGETSOCKNAME = syscall.SYS_GETSOCKNAME
	sysSETSOCKOPT  = syscall.SYS_SETSOCKOPT
)
