package client

import (
	"io"

	"github.com/uniomq/unio/mqtt"
)

// firstBuffer is the size of the reading buffer until a packet needs a larger one.
const firstBuffer = 4096

// reader cuts packets off a stream. Its buffer holds what has arrived, and grows only
// as bytes arrive, up to the limit for one packet.
type reader struct {
	conn  io.Reader
	limit uint32 // of one packet, in bytes
	buf   []byte // all of it
	from  int    // buf[from:to] was received and not returned yet
	to    int
}

// next returns the next whole packet, valid until the following call.
func (r *reader) next() ([]byte, error) {
	for {
		frame, _, err := mqtt.Split(r.buf[r.from:r.to], r.limit)
		if err != nil {
			return nil, err
		}
		if frame != nil {
			r.from += len(frame)
			return frame, nil
		}
		r.makeRoom()
		n, err := r.conn.Read(r.buf[r.to:])
		r.to += n
		if err != nil && n == 0 {
			return nil, err
		}
	}
}

// makeRoom moves what is there to the front, and doubles a buffer that is full.
func (r *reader) makeRoom() {
	if r.from > 0 {
		copy(r.buf, r.buf[r.from:r.to])
		r.from, r.to = 0, r.to-r.from
	}
	if r.to == len(r.buf) {
		grown := make([]byte, max(firstBuffer, 2*len(r.buf)))
		copy(grown, r.buf[:r.to])
		r.buf = grown
	}
}
