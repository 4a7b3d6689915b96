package execution

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
)

// Links makes and reads the links of letters to approvers. The first key
// signs, all are accepted.
type Links struct{ keys [][]byte }

// NewLinks returns links signed with keys derived from the secrets.
func NewLinks(secrets [][]byte) *Links {
	l := &Links{}
	for _, secret := range secrets {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte("agentstudio approval link"))
		l.keys = append(l.keys, m.Sum(nil))
	}
	return l
}

// Link is what a link stands for: one person's right to give one answer.
type Link struct {
	WorkspaceID string `json:"w"`
	AskID       string `json:"a"`
	Approve     bool   `json:"y"`
	Email       string `json:"e"`
	Expires     int64  `json:"x"` // Unix seconds
}

// Write returns the link's text, good in an address.
func (l *Links) Write(k Link) string {
	text, _ := json.Marshal(k) // strings and numbers: always written
	return base64.RawURLEncoding.EncodeToString(text) + "." + base64.RawURLEncoding.EncodeToString(sign(l.keys[0], text))
}

func sign(key, text []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(text)
	return m.Sum(nil)
}

// Read returns what a text stands for. NotFound: it is none of ours; Conflict:
// it has expired.
func (l *Links) Read(s string, now time.Time) (Link, error) {
	wrong := fault.New(fault.NotFound, "this link is not complete: copy the whole of it from the letter")
	var k Link
	for i := range len(s) {
		if s[i] != '.' {
			continue
		}
		text, err := base64.RawURLEncoding.DecodeString(s[:i])
		if err != nil {
			return k, wrong
		}
		sum, err := base64.RawURLEncoding.DecodeString(s[i+1:])
		if err != nil {
			return k, wrong
		}
		for _, key := range l.keys {
			if !hmac.Equal(sum, sign(key, text)) {
				continue
			}
			if err := json.Unmarshal(text, &k); err != nil {
				return k, wrong
			}
			if now.Unix() >= k.Expires {
				return k, fault.New(fault.Conflict, "this link has expired: decide in the studio").WithCode("expired")
			}
			return k, nil
		}
	}
	return k, wrong
}

// Linked returns what a link asks and whether it can still be answered by it:
// its person must be a member who may execute.
func (s *Service) Linked(ctx context.Context, by access.Actor, k Link) (*Ask, access.Actor, error) {
	a, err := s.store.Ask(ctx, k.WorkspaceID, k.AskID)
	if err != nil {
		return nil, by, err
	}
	userID, role, err := s.store.MemberByEmail(ctx, k.WorkspaceID, k.Email)
	if err != nil {
		return nil, by, err
	}
	who := access.Actor{UserID: userID, Email: k.Email, Roles: map[string]access.Role{k.WorkspaceID: role}, IP: by.IP, UserAgent: by.UserAgent}
	if err := who.Need(k.WorkspaceID, access.Execute); err != nil {
		return nil, by, err
	}
	if err := a.mayAnswer(who); err != nil {
		return nil, by, err
	}
	return a, who, a.State(s.cfg.Now())
}

// DecideByLink gives the answer of a link.
func (s *Service) DecideByLink(ctx context.Context, by access.Actor, k Link, comment string) (*Ask, error) {
	a, who, err := s.Linked(ctx, by, k)
	if err != nil {
		return nil, err
	}
	return a, s.decide(ctx, who, a, Decision{Approve: k.Approve, Comment: comment})
}
