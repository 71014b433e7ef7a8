package unio

import (
	"net/url"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/explain"
)

// What [Explain] is asked, and answers.
type (
	// A Question is what a client wants to do.
	Question = explain.Question
	// An Answer says how a broker with some configuration would decide, and why.
	Answer = explain.Answer
	// An Explanation says how the rules of one file decide, and why.
	Explanation = acl.Explanation
	// A RuleReference is to a rule of a file: to its line, or by the name of its role.
	RuleReference = acl.Reference
	// A Replacement is what a placeholder of a rule stands for.
	Replacement = acl.Replacement
	// A NearMiss is a rule that would have decided otherwise, but for one condition.
	NearMiss = acl.NearMiss
)

// Explain decides by the rules of a configuration, as a broker does that is started with it, and says why. Whether the client would be
// let in by its password is not asked.
func Explain(cfg *config.Config, q Question) (*Answer, error) { return explain.Explain(cfg, q) }

// Explain is the function of that name for the rules that are in force.
func (s *Server) Explain(q Question) (*Answer, error) {
	return explain.By(s.inForce.Load(), s.access.Authorizer, s.access.Dynamic(), q)
}

// ParseQuestion reads a query that Question.Query could have made, or somebody else has written: "group"
// and "role" stand for attributes, too.
func ParseQuestion(query url.Values) (Question, error) { return explain.ParseQuestion(query) }
