package session

// Phase is how far the life of a connection has come. It only goes on, and may skip phases.
type Phase uint8

// The phases of a connection.
const (
	Opening  Phase = iota // CONNECT, AUTH and what answers them
	Live                  // CONNACK with success was sent: deliveries may follow
	Closing               // nothing is sent any more but what waits already; the cause is known
	Over                  // the read loop has ended: nobody uses the descriptor to read
	Ended                 // the session is free for another connection
	Released              // the owner of the read loop is done with the connection
	Gone                  // so is the last writer: nothing waits for the connection any more
)

// Enter goes on to a phase, unless the connection is there or beyond, and returns where it was.
func (p *Phase) Enter(to Phase) (was Phase) {
	was = *p
	*p = max(was, to)
	return was
}
