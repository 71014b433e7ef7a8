package broker

import "sync"

// slow are the connections that a drain writes for, because their sockets were full. What waits in
// their outputs is what waits for sockets at all: whoever else has an output is about to write it.
// So it is counted when somebody asks, and costs nothing on the way of a message. Its mu is held
// briefly, and no other lock with it.
type slow struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
}

func (s *slow) enter(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*conn]struct{})
	}
	s.conns[c] = struct{}{}
}

func (s *slow) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// waiting returns how many packets and bytes wait for sockets.
func (s *slow) waiting() (packets, bytes int64) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.mu.Lock()
		if c.out != nil {
			packets += int64(c.out.Packets())
			bytes += int64(c.out.Size())
		}
		c.mu.Unlock()
	}
	return packets, bytes
}
