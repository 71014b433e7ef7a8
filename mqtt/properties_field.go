package mqtt

// The four functions below map an identifier to its field, for each kind of value.
// The last field of each stands for its identifier and for none other, since the
// kind has been looked up before.

func (p *Properties) byteField(id PropertyID) *byte {
	switch id {
	case PropPayloadFormat:
		return &p.PayloadFormat
	case PropRequestProblemInfo:
		return &p.RequestProblemInfo
	case PropRequestResponseInfo:
		return &p.RequestResponseInfo
	case PropMaximumQoS:
		return &p.MaximumQoS
	case PropRetainAvailable:
		return &p.RetainAvailable
	case PropWildcardAvailable:
		return &p.WildcardAvailable
	case PropSubscriptionIDAvailable:
		return &p.SubscriptionIDAvailable
	}
	return &p.SharedAvailable
}

func (p *Properties) uint16Field(id PropertyID) *uint16 {
	switch id {
	case PropServerKeepAlive:
		return &p.ServerKeepAlive
	case PropReceiveMaximum:
		return &p.ReceiveMaximum
	case PropTopicAliasMaximum:
		return &p.TopicAliasMaximum
	}
	return &p.TopicAlias
}

func (p *Properties) uint32Field(id PropertyID) *uint32 {
	switch id {
	case PropMessageExpiry:
		return &p.MessageExpiry
	case PropSessionExpiry:
		return &p.SessionExpiry
	case PropWillDelay:
		return &p.WillDelay
	}
	return &p.MaximumPacketSize
}

func (p *Properties) bytesField(id PropertyID) *[]byte {
	switch id {
	case PropContentType:
		return &p.ContentType
	case PropResponseTopic:
		return &p.ResponseTopic
	case PropCorrelationData:
		return &p.CorrelationData
	case PropAssignedClientID:
		return &p.AssignedClientID
	case PropAuthMethod:
		return &p.AuthMethod
	case PropAuthData:
		return &p.AuthData
	case PropResponseInfo:
		return &p.ResponseInfo
	case PropServerReference:
		return &p.ServerReference
	}
	return &p.ReasonString
}

// AddUser adds a user property behind those that are there.
func (p *Properties) AddUser(name, value string) {
	p.User = append(p.User, UserProperty{Name: []byte(name), Value: []byte(value)})
	p.Set(PropUser)
}

// AddSubscriptionID adds a subscription identifier, 1 to 268,435,455.
func (p *Properties) AddSubscriptionID(id uint32) {
	p.SubscriptionIDs = append(p.SubscriptionIDs, id)
	p.Set(PropSubscriptionID)
}

// SetPayloadFormat sets the payload format indicator: 1 for UTF-8, else 0.
func (p *Properties) SetPayloadFormat(format byte) {
	p.PayloadFormat = format
	p.Set(PropPayloadFormat)
}

// SetMessageExpiry sets the message expiry interval in seconds.
func (p *Properties) SetMessageExpiry(seconds uint32) {
	p.MessageExpiry = seconds
	p.Set(PropMessageExpiry)
}

// SetContentType sets the content type.
func (p *Properties) SetContentType(s string) {
	p.ContentType = []byte(s)
	p.Set(PropContentType)
}

// SetResponseTopic sets the response topic.
func (p *Properties) SetResponseTopic(topic string) {
	p.ResponseTopic = []byte(topic)
	p.Set(PropResponseTopic)
}

// SetCorrelationData sets the correlation data, which is not copied.
func (p *Properties) SetCorrelationData(data []byte) {
	p.CorrelationData = data
	p.Set(PropCorrelationData)
}

// SetSessionExpiry sets the session expiry interval in seconds.
func (p *Properties) SetSessionExpiry(seconds uint32) {
	p.SessionExpiry = seconds
	p.Set(PropSessionExpiry)
}

// SetAssignedClientID sets the assigned client identifier.
func (p *Properties) SetAssignedClientID(id string) {
	p.AssignedClientID = []byte(id)
	p.Set(PropAssignedClientID)
}

// SetServerKeepAlive sets the server keep alive in seconds.
func (p *Properties) SetServerKeepAlive(seconds uint16) {
	p.ServerKeepAlive = seconds
	p.Set(PropServerKeepAlive)
}

// SetAuthMethod sets the authentication method.
func (p *Properties) SetAuthMethod(method string) {
	p.AuthMethod = []byte(method)
	p.Set(PropAuthMethod)
}

// SetAuthData sets the authentication data, which is not copied.
func (p *Properties) SetAuthData(data []byte) {
	p.AuthData = data
	p.Set(PropAuthData)
}

// SetRequestProblemInfo sets whether the client wants reason strings and user
// properties in acknowledgements.
func (p *Properties) SetRequestProblemInfo(on bool) {
	p.RequestProblemInfo = flag(on)
	p.Set(PropRequestProblemInfo)
}

// SetRequestResponseInfo sets whether the client asks for response information.
func (p *Properties) SetRequestResponseInfo(on bool) {
	p.RequestResponseInfo = flag(on)
	p.Set(PropRequestResponseInfo)
}

// SetWillDelay sets the will delay interval in seconds.
func (p *Properties) SetWillDelay(seconds uint32) {
	p.WillDelay = seconds
	p.Set(PropWillDelay)
}

// SetResponseInfo sets the response information.
func (p *Properties) SetResponseInfo(s string) {
	p.ResponseInfo = []byte(s)
	p.Set(PropResponseInfo)
}

// SetServerReference sets the server reference.
func (p *Properties) SetServerReference(s string) {
	p.ServerReference = []byte(s)
	p.Set(PropServerReference)
}

// SetReasonString sets the reason string.
func (p *Properties) SetReasonString(s string) {
	p.ReasonString = []byte(s)
	p.Set(PropReasonString)
}

// SetReceiveMaximum sets the receive maximum, at least 1.
func (p *Properties) SetReceiveMaximum(n uint16) {
	p.ReceiveMaximum = n
	p.Set(PropReceiveMaximum)
}

// SetTopicAliasMaximum sets the topic alias maximum.
func (p *Properties) SetTopicAliasMaximum(n uint16) {
	p.TopicAliasMaximum = n
	p.Set(PropTopicAliasMaximum)
}

// SetTopicAlias sets the topic alias, at least 1.
func (p *Properties) SetTopicAlias(alias uint16) {
	p.TopicAlias = alias
	p.Set(PropTopicAlias)
}

// SetMaximumQoS sets the maximum QoS, 0 or 1; a server that supports QoS 2 leaves
// it out.
func (p *Properties) SetMaximumQoS(qos byte) {
	p.MaximumQoS = qos
	p.Set(PropMaximumQoS)
}

// SetRetainAvailable sets whether the server supports retained messages.
func (p *Properties) SetRetainAvailable(on bool) {
	p.RetainAvailable = flag(on)
	p.Set(PropRetainAvailable)
}

// SetMaximumPacketSize sets the maximum packet size in bytes, at least 1.
func (p *Properties) SetMaximumPacketSize(n uint32) {
	p.MaximumPacketSize = n
	p.Set(PropMaximumPacketSize)
}

// SetWildcardAvailable sets whether the server supports wildcard subscriptions.
func (p *Properties) SetWildcardAvailable(on bool) {
	p.WildcardAvailable = flag(on)
	p.Set(PropWildcardAvailable)
}

// SetSubscriptionIDAvailable sets whether the server supports subscription
// identifiers.
func (p *Properties) SetSubscriptionIDAvailable(on bool) {
	p.SubscriptionIDAvailable = flag(on)
	p.Set(PropSubscriptionIDAvailable)
}

// SetSharedAvailable sets whether the server supports shared subscriptions.
func (p *Properties) SetSharedAvailable(on bool) {
	p.SharedAvailable = flag(on)
	p.Set(PropSharedAvailable)
}

func flag(on bool) byte {
	if on {
		return 1
	}
	return 0
}
