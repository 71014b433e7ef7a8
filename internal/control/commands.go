package control

import (
	"bytes"
	"encoding/json"

	"github.com/uniomq/unio/broker"
)

// The texts of answers to what is no command, as Mosquitto has them.
const (
	unknownCommand = "Unknown command" // stands for the name of one that has none, too
	notJSON        = "Payload not valid JSON"
	noCommands     = "Invalid/missing commands"
	notAnObject    = "Command not an object"
	missingCommand = "Missing command"
	badCorrelation = "Invalid correlationData data type."
)

// A Run carries out one command of a client, whose name is as the client wrote it. It returns the command's own name and its data; known is
// false for a command that there is none of.
type Run func(c *broker.Client, name string) (command string, data any, known bool)

// response is the answer to one command.
type response struct {
	Command         string  `json:"command"`
	Error           string  `json:"error,omitempty"`
	Data            any     `json:"data,omitempty"`
	CorrelationData *string `json:"correlationData,omitempty"`
}

// Commands returns a handler of requests of the form {"commands":[{"command":NAME,"correlationData":TEXT}]}, which are answered by
// {"responses":[...]}, in order. A command that is malformed ends the request, as in Mosquitto.
func Commands(run Run) Handler {
	return func(c *broker.Client, payload []byte) []byte {
		b, _ := json.Marshal(struct {
			Responses []response `json:"responses"`
		}{answer(c, payload, run)}) // what it holds is made here
		return b
	}
}

func answer(c *broker.Client, payload []byte, run Run) []response {
	// What stands behind the request does not matter, and names are read in any case, as by Mosquitto.
	var tree json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(payload)).Decode(&tree); err != nil {
		return []response{{Command: unknownCommand, Error: notJSON}}
	}
	var request struct{ Commands []json.RawMessage }
	if err := json.Unmarshal(tree, &request); err != nil || request.Commands == nil {
		return []response{{Command: unknownCommand, Error: noCommands}}
	}
	responses := []response{}
	for _, raw := range request.Commands {
		r, ok := one(c, raw, run)
		responses = append(responses, r)
		if !ok {
			break
		}
	}
	return responses
}

// one answers one command, and reports whether the request goes on.
func one(c *broker.Client, raw json.RawMessage, run Run) (r response, ok bool) {
	var fields struct{ Command, CorrelationData json.RawMessage }
	if raw[0] != '{' || json.Unmarshal(raw, &fields) != nil {
		return response{Command: unknownCommand, Error: notAnObject}, false
	}
	name, isText := text(fields.Command)
	if !isText {
		return response{Command: unknownCommand, Error: missingCommand}, false
	}
	r.Command = name
	if fields.CorrelationData != nil {
		correlation, isText := text(fields.CorrelationData)
		if !isText {
			r.Error = badCorrelation
			return r, false
		}
		r.CorrelationData = &correlation
	}
	if command, data, known := run(c, name); known {
		r.Command, r.Data = command, data
	} else {
		r.Error = unknownCommand
	}
	return r, true
}

// text returns a string of JSON.
func text(raw json.RawMessage) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}
