package netio

// Numbers that package syscall does not have: Linux has these calls, besides socketcall, since 4.3.
const (
	sysACCEPT4     = 364
	sysGETSOCKNAME = 367
	sysSETSOCKOPT  = 366
)
