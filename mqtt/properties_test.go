package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

// everyProperty returns Properties with each property set to a value of its own.
func everyProperty() Properties {
	return props(func(p *Properties) {
		p.SetPayloadFormat(1)
		p.SetMessageExpiry(2)
		p.SetContentType("3")
		p.SetResponseTopic("8")
		p.SetCorrelationData([]byte("9"))
		p.AddSubscriptionID(11)
		p.SetSessionExpiry(17)
		p.SetAssignedClientID("18")
		p.SetServerKeepAlive(19)
		p.SetAuthMethod("21")
		p.SetAuthData([]byte("22"))
		p.SetRequestProblemInfo(true)
		p.SetWillDelay(24)
		p.SetRequestResponseInfo(true)
		p.SetResponseInfo("26")
		p.SetServerReference("28")
		p.SetReasonString("31")
		p.SetReceiveMaximum(33)
		p.SetTopicAliasMaximum(34)
		p.SetTopicAlias(35)
		p.SetMaximumQoS(1)
		p.SetRetainAvailable(true)
		p.AddUser("38", "")
		p.SetMaximumPacketSize(39)
		p.SetWildcardAvailable(true)
		p.SetSubscriptionIDAvailable(true)
		p.SetSharedAvailable(true)
	})
}

// TestEachPropertyWhereItIsAllowed sends each property alone in each packet, and
// checks the outcome against the table of the specification, section 2.2.2.2.
func TestEachPropertyWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	acks := []Type{PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK}
	message := []Type{will, PUBLISH}
	allowed := map[PropertyID][]Type{
		PropPayloadFormat:           message,
		PropMessageExpiry:           message,
		PropContentType:             message,
		PropResponseTopic:           message,
		PropCorrelationData:         message,
		PropSubscriptionID:          {PUBLISH, SUBSCRIBE},
		PropSessionExpiry:           {CONNECT, CONNACK, DISCONNECT},
		PropAssignedClientID:        {CONNACK},
		PropServerKeepAlive:         {CONNACK},
		PropAuthMethod:              {CONNECT, CONNACK, AUTH},
		PropAuthData:                {CONNECT, CONNACK, AUTH},
		PropRequestProblemInfo:      {CONNECT},
		PropWillDelay:               {will},
		PropRequestResponseInfo:     {CONNECT},
		PropResponseInfo:            {CONNACK},
		PropServerReference:         {CONNACK, DISCONNECT},
		PropReasonString:            append([]Type{CONNACK, DISCONNECT, AUTH}, acks...),
		PropReceiveMaximum:          {CONNECT, CONNACK},
		PropTopicAliasMaximum:       {CONNECT, CONNACK},
		PropTopicAlias:              {PUBLISH},
		PropMaximumQoS:              {CONNACK},
		PropRetainAvailable:         {CONNACK},
		PropUser:                    append([]Type{will, CONNECT, CONNACK, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH}, acks...),
		PropMaximumPacketSize:       {CONNECT, CONNACK},
		PropWildcardAvailable:       {CONNACK},
		PropSubscriptionIDAvailable: {CONNACK},
		PropSharedAvailable:         {CONNACK},
	}
	all := everyProperty()
	for id := range PropertyID(64) {
		for typ := will; typ <= AUTH; typ++ {
			wire := all.appendFields(nil, 1<<id)
			if !all.Has(id) {
				wire = []byte{byte(id), 0}
			}
			r := reader{p: append([]byte{byte(len(wire))}, wire...)}
			var p Properties
			p.decode(&r, typ)
			want := false
			for _, a := range allowed[id] {
				want = want || a == typ
			}
			if errors.Is(r.err, errAuthDataAlone) {
				r.err = nil
			}
			if got := r.err == nil; got != want {
				t.Errorf("property %d in %v: %v", id, typ, r.err)
			}
			if want && !bytes.Equal(p.appendFields(nil, 1<<id), wire) {
				t.Errorf("property %d in %v: %x, want %x", id, typ, p.appendFields(nil, 1<<id), wire)
			}
		}
	}
}

func TestPropertiesSizeIsExact(t *testing.T) {
	t.Parallel()
	all := everyProperty()
	all.AddSubscriptionID(268_435_455)
	all.AddUser("name", "value")
	for typ := will; typ <= AUTH; typ++ {
		got, want := all.size(typ), len(all.append(nil, typ))
		if sized(got) != want {
			t.Errorf("%v: %d with its length, want %d", typ, sized(got), want)
		}
	}
}

func TestResetRemovesEverythingAndKeepsMemory(t *testing.T) {
	p := everyProperty()
	user := &p.User[0]
	p.Reset()
	if !p.Empty() || len(p.User) != 0 || len(p.SubscriptionIDs) != 0 {
		t.Errorf("%+v", p)
	}
	if user.Name != nil {
		t.Errorf("the removed user property still points to %q", user.Name)
	}
	if n := testing.AllocsPerRun(10, func() {
		p.User = append(p.User, UserProperty{})
		p.SubscriptionIDs = append(p.SubscriptionIDs, 1)
		p.Set(PropUser)
		p.Reset()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	p.User, p.SubscriptionIDs = nil, nil
	if !reflect.DeepEqual(p, Properties{}) {
		t.Errorf("%+v", p)
	}
}

func TestClearRemovesOneProperty(t *testing.T) {
	t.Parallel()
	p := everyProperty()
	for _, id := range []PropertyID{PropTopicAlias, PropUser, PropSubscriptionID} {
		p.Clear(id)
		if p.Has(id) {
			t.Errorf("property %d is still there", id)
		}
	}
	p.AddUser("k", "v")
	p.AddSubscriptionID(5)
	if len(p.User) != 1 || len(p.SubscriptionIDs) != 1 || !p.Has(PropMessageExpiry) {
		t.Errorf("%v %v", p.User, p.SubscriptionIDs)
	}
}

func TestAppendForwardedSkipsTheRest(t *testing.T) {
	t.Parallel()
	all := everyProperty()
	want := wire("01 01 03 0001 '3' 08 0001 '8' 09 0001 '9' 26 0002 '38' 0000")
	if got := all.AppendForwarded(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	var none Properties
	if got := none.AppendForwarded(nil); got != nil {
		t.Errorf("%x", got)
	}
}

// TestForwardedKeepsTheOrder has user properties before, between and behind the others.
func TestForwardedKeepsTheOrder(t *testing.T) {
	t.Parallel()
	const expiry = "02 00000009 "
	order := "26 0001 'a' 0001 '1' 09 0002 'cd' 26 0001 'a' 0001 '2' 26 0001 'b' 0000 03 0001 't' 01 01 26 0001 'a' 0001 '3'"
	var p Properties
	if err := p.DecodeForwarded(wire(expiry + order)); err != nil {
		t.Fatal(err)
	}
	if got := p.AppendForwarded(nil); !bytes.Equal(got, wire(order)) {
		t.Errorf("got %x, want %x", got, wire(order))
	}
	p.Clear(PropContentType)
	p.SetContentType("t") // an interceptor's goes to the end
	p.SetCorrelationData([]byte("CD"))
	want := wire("26 0001 'a' 0001 '1' 09 0002 'CD' 26 0001 'a' 0001 '2' 26 0001 'b' 0000 01 01 26 0001 'a' 0001 '3' 03 0001 't'")
	if got := p.AppendForwarded(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	p.Clear(PropUser)
	p.AddUser("c", "4")
	want = wire("26 0001 'c' 0001 '4' 09 0002 'CD' 01 01 03 0001 't'")
	if got := p.AppendForwarded(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestForwardedLosesNothing has more user properties than their places are kept for.
func TestForwardedLosesNothing(t *testing.T) {
	t.Parallel()
	var p, back Properties
	for i := range 2 * maxUsersBefore {
		p.AddUser(fmt.Sprint(i), "")
	}
	p.SetContentType("t")
	p.AddUser("last", "")
	if err := back.DecodeForwarded(p.AppendForwarded(nil)); err != nil {
		t.Fatal(err)
	}
	for i := range p.User {
		if len(back.User) != len(p.User) || string(back.User[i].Name) != string(p.User[i].Name) {
			t.Fatalf("%d user properties, want %d; number %d", len(back.User), len(p.User), i)
		}
	}
	if string(back.ContentType) != "t" {
		t.Errorf("content type %q", back.ContentType)
	}
}
