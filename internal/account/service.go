package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net/mail"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
)

// Mailer sends one plain-text letter, or fails with fault.Upstream.
type Mailer interface {
	Send(ctx context.Context, to, subject, text string) error
}

// Config is what may be changed about a Service.
type Config struct {
	Signup Signup           // default open
	Now    func() time.Time // default time.Now
	Random io.Reader        // default crypto/rand
	NewID  func() string    // default UUID v7
}

// Service holds the use cases of accounts. It is safe for concurrent use.
type Service struct {
	store   Store
	mailer  Mailer
	keys    signingKeys
	codeKey []byte
	cfg     Config
}

// NewService returns the use cases. The first secret signs, all are accepted;
// each must have 32 bytes or more.
func NewService(store Store, mailer Mailer, secrets [][]byte, cfg Config) (*Service, error) {
	keys, err := newSigningKeys(secrets)
	if err != nil {
		return nil, err
	}
	switch cfg.Signup {
	case "":
		cfg.Signup = SignupOpen
	case SignupOpen, SignupInvite, SignupClosed:
	default:
		return nil, fmt.Errorf("sign-up policy %q is not one of open, invite, closed", cfg.Signup)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.NewID == nil {
		cfg.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	return &Service{store: store, mailer: mailer, keys: keys, codeKey: derive(secrets[0], "one-time code"), cfg: cfg}, nil
}

// now is the time to the millisecond, as it is stored.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// NormaliseEmail trims and lower-cases an address; Invalid when it is none.
func NormaliseEmail(email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	a, err := mail.ParseAddress(email)
	at := strings.LastIndexByte(email, '@')
	if err != nil || a.Address != email || a.Name != "" || len(email) > 254 || at < 1 || at > 64 ||
		!strings.Contains(email[at:], ".") || strings.ContainsAny(email, "\r\n\x00 \"<>") || !utf8.ValidString(email) {
		return "", fault.InvalidInput(fault.Detail{Location: "body.email", Code: "email", Message: "this is not an e-mail address"})
	}
	return email, nil
}

// RequestCode mails a new one-time code; the one before it dies. Callers learn
// nothing about whether the address has an account. Upstream when the letter
// cannot be sent.
func (s *Service) RequestCode(ctx context.Context, email string) error {
	email, err := NormaliseEmail(email)
	if err != nil {
		return err
	}
	now := s.now()
	may, err := s.store.MayEnter(ctx, email, s.cfg.Signup, now)
	if err != nil {
		return fmt.Errorf("look up address: %w", err)
	}
	if !may {
		// A letter either way, so that neither time nor a broken mail server
		// tells the asker which addresses have accounts.
		return s.mailer.Send(ctx, email, "Signing in to Agent Studio",
			"Somebody, perhaps you, asked to sign in to Agent Studio with this address.\n\nIt has no account here, and new accounts need an invitation. Ask a member of your team to invite you.\n")
	}
	n, err := rand.Int(s.cfg.Random, big.NewInt(1_000_000))
	if err != nil {
		return fmt.Errorf("draw code: %w", err)
	}
	code := fmt.Sprintf("%06d", n)
	if err := s.store.SaveCode(ctx, Code{Email: email, Hash: s.codeHash(email, code), CreatedAt: now, ExpiresAt: now.Add(CodeTTL)}); err != nil {
		return fmt.Errorf("save code: %w", err)
	}
	return s.mailer.Send(ctx, email, "Your Agent Studio code: "+code,
		"Your code for Agent Studio is "+code+".\n\nIt is good for five minutes and can be used once. If you did not ask for it, ignore this letter.\n")
}

// codeHash is keyed, since a million codes are quickly tried.
func (s *Service) codeHash(email, code string) string {
	m := hmac.New(sha256.New, s.codeKey)
	m.Write([]byte(email + "\x00" + code))
	return hex.EncodeToString(m.Sum(nil))
}

// SignIn trades a code for tokens, and makes the account when the address is
// new and may have one. Unauthenticated, in the same words, for every code
// that is wrong, used, unknown, expired or locked.
func (s *Service) SignIn(ctx context.Context, by access.Actor, email, code, fullName string) (Tokens, error) {
	refused := fault.New(fault.Unauthenticated, "this code is wrong or has expired; ask for a new one").WithCode("bad_code")
	email, err := NormaliseEmail(email)
	if err != nil {
		return Tokens{}, err
	}
	now := s.now()
	ok, err := s.store.SpendCode(ctx, email, s.codeHash(email, code), maxMisses, now)
	if err != nil {
		return Tokens{}, fmt.Errorf("spend code: %w", err)
	}
	if !ok {
		return Tokens{}, refused
	}
	refresh, err := randomToken(s.cfg.Random, refreshPrefix)
	if err != nil {
		return Tokens{}, err
	}
	e := s.entry(by, email, strings.TrimSpace(fullName), now)
	e.Token = Hash(refresh)
	user, err := s.store.Enter(ctx, e)
	if fault.Is(err, fault.Forbidden) {
		return Tokens{}, refused
	}
	if err != nil {
		return Tokens{}, fmt.Errorf("enter: %w", err)
	}
	return s.tokens(user, e.Session.ID, refresh, now)
}

func (s *Service) entry(by access.Actor, email, fullName string, now time.Time) Entry {
	local, _, _ := strings.Cut(email, "@")
	e := Entry{
		User: User{ID: s.cfg.NewID(), Email: email, FullName: fullName, IsActive: true, EmailVerifiedAt: &now,
			LastLoginAt: &now, CreatedAt: now, UpdatedAt: now},
		Session: Session{ID: s.cfg.NewID(), IP: by.IP, UserAgent: clip(by.UserAgent, 500), CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(RefreshTTL)},
		Signup:  s.cfg.Signup,
	}
	e.Workspace.ID = s.cfg.NewID()
	e.Workspace.Name = "Personal"
	if fullName != "" {
		e.Workspace.Name = clip(fullName, 200) + "'s workspace"
	}
	base := Slug(local)
	e.Workspace.Slugs = []string{base, base + "-" + e.Workspace.ID[len(e.Workspace.ID)-6:], e.Workspace.ID}
	return e
}

// Slug turns a text into lower-case letters, digits and single dashes, 1–50
// characters.
func Slug(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	slug := strings.Trim(b.String(), "-")
	if len(slug) > 50 {
		slug = strings.Trim(slug[:50], "-")
	}
	if slug == "" {
		return "workspace"
	}
	return slug
}

func (s *Service) tokens(u User, sessionID, refresh string, now time.Time) (Tokens, error) {
	signed, err := s.keys.sign(u, sessionID, s.cfg.NewID(), now)
	if err != nil {
		return Tokens{}, fmt.Errorf("sign access token: %w", err)
	}
	return Tokens{Access: signed, Refresh: refresh, User: u}, nil
}

// Me returns the actor's own account.
func (s *Service) Me(ctx context.Context, by access.Actor) (User, error) {
	if by.UserID == "" {
		return User{}, fault.New(fault.Unauthenticated, "sign in first")
	}
	return s.store.User(ctx, by.UserID)
}

// UpdateMe changes the fields that are not nil; an avatar that is a nil URL is
// removed.
func (s *Service) UpdateMe(ctx context.Context, by access.Actor, fullName *string, avatarURL **string) (User, error) {
	if err := needSession(by); err != nil {
		return User{}, err
	}
	var bad []fault.Detail
	if fullName != nil && utf8.RuneCountInString(*fullName) > 255 {
		bad = append(bad, fault.Detail{Location: "body.full_name", Message: "at most 255 characters"})
	}
	if avatarURL != nil && *avatarURL != nil {
		u, err := url.Parse(**avatarURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || len(**avatarURL) > 500 {
			bad = append(bad, fault.Detail{Location: "body.avatar_url", Message: "must be an http or https address of at most 500 characters"})
		}
	}
	if len(bad) > 0 {
		return User{}, fault.InvalidInput(bad...)
	}
	return s.store.UpdateUser(ctx, by.UserID, fullName, avatarURL, s.now())
}

// needSession refuses API keys: a key must not change whom it acts for.
func needSession(by access.Actor) error {
	if by.UserID == "" {
		return fault.New(fault.Unauthenticated, "sign in first")
	}
	if by.SessionID == "" {
		return fault.New(fault.Forbidden, "an API key may not do this: sign in with a code")
	}
	return nil
}

func clip(s string, n int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
