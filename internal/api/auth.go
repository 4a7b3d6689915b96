package api

import (
	"context"
	"net/http"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/account"
)

const (
	refreshCookie = "studio_refresh"
	cookiePath    = base + "/auth" // behind the path of the public address
)

// User is a person with an account.
type User struct {
	ID              string  `json:"id"`
	Email           string  `json:"email"`
	FullName        string  `json:"full_name"`
	AvatarURL       *string `json:"avatar_url"`
	IsActive        bool    `json:"is_active"`
	IsVerified      bool    `json:"is_verified"`
	IsAdmin         bool    `json:"is_admin" doc:"The administrator of this installation"`
	EmailVerifiedAt *Time   `json:"email_verified_at"`
	LastLoginAt     *Time   `json:"last_login_at"`
	CreatedAt       Time    `json:"created_at"`
	UpdatedAt       Time    `json:"updated_at"`
}

func viewUser(u account.User) User {
	return User{ID: u.ID, Email: u.Email, FullName: u.FullName, AvatarURL: u.AvatarURL, IsActive: u.IsActive, IsVerified: u.EmailVerifiedAt != nil,
		IsAdmin: u.IsAdmin, EmailVerifiedAt: whenPtr(u.EmailVerifiedAt), LastLoginAt: whenPtr(u.LastLoginAt), CreatedAt: Time(u.CreatedAt), UpdatedAt: Time(u.UpdatedAt)}
}

// Tokens is what signing in gives.
type Tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token" doc:"Also set as a cookie that scripts cannot read"`
	TokenType    string `json:"token_type" enum:"bearer"`
	ExpiresIn    int    `json:"expires_in" doc:"Seconds the access token is good for"`
	User         User   `json:"user"`
}

type signedIn struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      Tokens
}

func (s *Server) signedIn(t account.Tokens) *signedIn {
	return &signedIn{SetCookie: s.cookie(t.Refresh, account.RefreshTTL), Body: Tokens{AccessToken: t.Access, RefreshToken: t.Refresh, TokenType: "bearer",
		ExpiresIn: int(account.AccessTTL.Seconds()), User: viewUser(t.User)}}
}

// cookie carries the refresh token; a negative age deletes it.
func (s *Server) cookie(token string, age time.Duration) http.Cookie {
	return http.Cookie{Name: refreshCookie, Value: token, Path: s.under() + cookiePath, MaxAge: int(age.Seconds()), HttpOnly: true, Secure: s.cfg.SecureCookies, SameSite: http.SameSiteStrictMode}
}

func (s *Server) authRoutes() {
	register(s, op{Method: "POST", Path: "/auth/request-otp", ID: "request-otp", Tag: "auth", Public: true, Summary: "Ask for a one-time code by mail",
		Notes: "The answer is the same for every address."}, s.requestCode)
	register(s, op{Method: "POST", Path: "/auth/verify-otp", ID: "verify-otp", Tag: "auth", Public: true, Summary: "Trade a code for tokens"}, s.verifyCode)
	register(s, op{Method: "POST", Path: "/auth/refresh", ID: "refresh", Tag: "auth", Public: true, Summary: "Trade a refresh token for new tokens",
		Notes: "The token comes in the body or in the cookie, and dies. Using it twice signs the device out."}, s.refresh)
	register(s, op{Method: "POST", Path: "/auth/logout", ID: "logout", Tag: "auth", Public: true, Status: 204, Summary: "Sign this device out"}, s.logout)
	register(s, op{Method: "GET", Path: "/auth/me", ID: "me", Tag: "auth", Summary: "Who is asking"}, s.me)
	register(s, op{Method: "PATCH", Path: "/auth/me", ID: "update-me", Tag: "auth", Summary: "Change one's name or picture"}, s.updateMe)
	register(s, op{Method: "GET", Path: "/auth/sessions", ID: "list-sessions", Tag: "auth", Summary: "The devices that are signed in"}, s.listSessions)
	register(s, op{Method: "DELETE", Path: "/auth/sessions/{id}", ID: "end-session", Tag: "auth", Status: 204, Summary: "Sign a device out"}, s.endSession)
	register(s, op{Method: "POST", Path: "/auth/ws-ticket", ID: "ws-ticket", Tag: "realtime", Summary: "A ticket for one WebSocket connection",
		Notes: "Good for 30 seconds and for one use, so that no token has to stand in an address."}, s.newTicket)
}

type requestCodeInput struct {
	Body struct {
		Email   string `json:"email" maxLength:"320"`
		Purpose string `json:"purpose,omitempty" enum:"login,signup,reset"`
	}
}

type codeSent struct {
	Success   bool   `json:"success"`
	Message   string `json:"message"`
	ExpiresIn int    `json:"expires_in" doc:"Seconds the code is good for"`
}

func (s *Server) requestCode(ctx context.Context, by access.Actor, in *requestCodeInput) (*Body[codeSent], error) {
	email, err := account.NormaliseEmail(in.Body.Email)
	if err != nil {
		return nil, err
	}
	if err := s.take(ctx, nil, "code_ip", by.IP, s.cfg.Limits.CodeIP); err != nil {
		return nil, err
	}
	if err := s.take(ctx, nil, "code_address", email, s.cfg.Limits.CodeAddress); err != nil {
		return nil, err
	}
	if err := s.Accounts.RequestCode(ctx, email); err != nil {
		return nil, err
	}
	return &Body[codeSent]{codeSent{Success: true, Message: "If this address may sign in, a code is on its way.", ExpiresIn: int(account.CodeTTL.Seconds())}}, nil
}

type verifyCodeInput struct {
	Body struct {
		Email    string `json:"email" maxLength:"320"`
		Code     string `json:"code" pattern:"^[0-9]{6}$" patternDescription:"six digits"`
		FullName string `json:"full_name,omitempty" maxLength:"255"`
	}
}

func (s *Server) verifyCode(ctx context.Context, by access.Actor, in *verifyCodeInput) (*signedIn, error) {
	email, err := account.NormaliseEmail(in.Body.Email)
	if err != nil {
		return nil, err
	}
	if err := s.take(ctx, nil, "verify", email+" "+by.IP, s.cfg.Limits.Verify); err != nil {
		return nil, err
	}
	t, err := s.Accounts.SignIn(ctx, by, email, in.Body.Code, in.Body.FullName)
	if err != nil {
		return nil, err
	}
	return s.signedIn(t), nil
}

type refreshInput struct {
	Cookie string `cookie:"studio_refresh"`
	Body   *struct {
		RefreshToken string `json:"refresh_token,omitempty" maxLength:"200"`
	}
}

// token is the one of the body, else the one of the cookie.
func (in *refreshInput) token() string {
	if in.Body != nil && in.Body.RefreshToken != "" {
		return in.Body.RefreshToken
	}
	return in.Cookie
}

func (s *Server) refresh(ctx context.Context, _ access.Actor, in *refreshInput) (*signedIn, error) {
	t, err := s.Accounts.Refresh(ctx, in.token())
	if err != nil {
		return nil, err
	}
	return s.signedIn(t), nil
}

type signedOut struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s *Server) logout(ctx context.Context, by access.Actor, in *refreshInput) (*signedOut, error) {
	if err := s.Accounts.SignOut(ctx, by, in.token()); err != nil {
		return nil, err
	}
	s.recheck(ctx, by.UserID)
	return &signedOut{SetCookie: s.cookie("", -time.Second)}, nil
}

func (s *Server) me(ctx context.Context, by access.Actor, _ *none) (*Body[User], error) {
	u, err := s.Accounts.Me(ctx, by)
	if err != nil {
		return nil, err
	}
	return &Body[User]{viewUser(u)}, nil
}

type updateMeInput struct {
	Body struct {
		FullName  *string      `json:"full_name,omitempty" maxLength:"255"`
		AvatarURL nullableText `json:"avatar_url,omitempty" required:"false"`
	}
}

func (s *Server) updateMe(ctx context.Context, by access.Actor, in *updateMeInput) (*Body[User], error) {
	u, err := s.Accounts.UpdateMe(ctx, by, in.Body.FullName, in.Body.AvatarURL.change())
	if err != nil {
		return nil, err
	}
	return &Body[User]{viewUser(u)}, nil
}

// Session is one signed-in device.
type Session struct {
	ID         string `json:"id"`
	Current    bool   `json:"current" doc:"Whether it is the one that asks"`
	IP         string `json:"ip"`
	UserAgent  string `json:"user_agent"`
	CreatedAt  Time   `json:"created_at"`
	LastUsedAt Time   `json:"last_used_at"`
	ExpiresAt  Time   `json:"expires_at"`
}

func (s *Server) listSessions(ctx context.Context, by access.Actor, in *Paging) (*Body[Page[Session]], error) {
	all, err := s.Accounts.Sessions(ctx, by)
	if err != nil {
		return nil, err
	}
	return pageOf(cut(*in, all), len(all), *in, func(v account.Session) Session {
		return Session{ID: v.ID, Current: v.ID == by.SessionID, IP: v.IP, UserAgent: v.UserAgent, CreatedAt: Time(v.CreatedAt), LastUsedAt: Time(v.LastUsedAt), ExpiresAt: Time(v.ExpiresAt)}
	}), nil
}

func (s *Server) endSession(ctx context.Context, by access.Actor, in *IDPath) (*none, error) {
	err := s.Accounts.EndSession(ctx, by, in.ID)
	s.recheck(ctx, by.UserID)
	return nil, err
}

type ticket struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expires_in"`
}

func (s *Server) newTicket(ctx context.Context, by access.Actor, _ *none) (*Body[ticket], error) {
	text, err := s.Accounts.NewTicket(ctx, by)
	if err != nil {
		return nil, err
	}
	return &Body[ticket]{ticket{Ticket: text, ExpiresIn: int(account.TicketTTL.Seconds())}}, nil
}
