package netio

import "sync"

// Buffers are what sockets are read into, and small parts are put together in. They are held only
// while there is something to read or write.
var Buffers = sync.Pool{New: func() any {
	p := make([]byte, ReadSize)
	return &p
}}

// ReadSize is how many bytes are read at once.
const ReadSize = 16 << 10
