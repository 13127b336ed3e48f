package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// route is one operation of GitHub. Its name is what calls are logged under and
// what faults select.
type route struct {
	name    string
	pattern string
	caller  caller
	needs   string // permission=level that the token must have
	answer  func(*GitHub, *request) answer
}

// caller is how a route's callers must show who they are.
type caller int

const (
	anyone     caller = iota
	anApp             // an assertion signed with the App's key
	aToken            // an installation token
	aGitClient        // an installation token as git presents it
)

// apiRoutes run under the lock and cost rate limit.
var apiRoutes = []route{
	{"app", "GET /app", anApp, "", getApp},
	{"installations", "GET /app/installations", anApp, "", getInstallations},
	{"installation", "GET /app/installations/{id}", anApp, "", getInstallation},
	{"installation", "GET /orgs/{owner}/installation", anApp, "", getOrganizationInstallation},
	{"installation", "GET /users/{owner}/installation", anApp, "", getUserInstallation},
	{"installation", "GET /repos/{owner}/{repo}/installation", anApp, "", getRepositoryInstallation},
	{"mint", "POST /app/installations/{id}/access_tokens", anApp, "", mintToken},
	{"revoke", "DELETE /installation/token", aToken, "", revokeToken},
	{"probe", "GET /installation/repositories", aToken, "", getTokenRepositories},
	{"rate_limit", "GET /rate_limit", anyone, "", getRateLimit},
	{"user", "GET /users/{username}", anyone, "", getUser},
	{"repository", "GET /repos/{owner}/{repo}", aToken, "metadata=read", getRepository},
	{"contents", "GET /repos/{owner}/{repo}/contents", aToken, "contents=read", getContents},
	{"contents", "GET /repos/{owner}/{repo}/contents/{path...}", aToken, "contents=read", getContents},
	{"ref", "GET /repos/{owner}/{repo}/git/ref/{ref...}", aToken, "contents=read", getRef},
	{"matching_refs", "GET /repos/{owner}/{repo}/git/matching-refs/{ref...}", aToken, "contents=read", getMatchingRefs},
	{"create_ref", "POST /repos/{owner}/{repo}/git/refs", aToken, "contents=write", createRef},
	{"releases", "GET /repos/{owner}/{repo}/releases", aToken, "contents=read", getReleases},
	{"release", "GET /repos/{owner}/{repo}/releases/tags/{tag}", aToken, "contents=read", getTaggedRelease},
	{"release", "GET /repos/{owner}/{repo}/releases/{id}", aToken, "contents=read", getRelease},
	{"update_release", "PATCH /repos/{owner}/{repo}/releases/{id}", aToken, "contents=write", updateRelease},
	{"delete_release", "DELETE /repos/{owner}/{repo}/releases/{id}", aToken, "contents=write", deleteRelease},
	{"upload_asset", "POST /repos/{owner}/{repo}/releases/{id}/assets", aToken, "contents=write", uploadAsset},
	{"create_release", "POST /repos/{owner}/{repo}/releases", aToken, "contents=write", createRelease},
	{"issues", "GET /repos/{owner}/{repo}/issues", aToken, "issues=read", getIssues},
	{"create_issue", "POST /repos/{owner}/{repo}/issues", aToken, "issues=write", createIssue},
	{"create_deployment", "POST /repos/{owner}/{repo}/deployments", aToken, "deployments=write", createDeployment},
	{"job", "GET /repos/{owner}/{repo}/actions/jobs/{id}", aToken, "actions=read", getJob},
	{"run", "GET /repos/{owner}/{repo}/actions/runs/{id}", aToken, "actions=read", getRun},
	{"run_jobs", "GET /repos/{owner}/{repo}/actions/runs/{id}/attempts/{attempt}/jobs", aToken, "actions=read", getRunJobs},
}

// serviceRoutes are those of Actions: the issuer and the runner's id-token endpoint.
var serviceRoutes = []route{
	{"discovery", "GET " + issuerPath + "/.well-known/openid-configuration", anyone, "", getDiscovery},
	{"jwks", "GET " + issuerPath + "/.well-known/jwks", anyone, "", getJWKS},
	{"id_token", "GET " + idTokenPath, anyone, "", getIDToken},
}

// graphQLRoute is at /graphql, and at /api/graphql as Enterprise Server has it.
var graphQLRoute = route{"graphql", "POST /graphql", aToken, "", graphQL}

// gitRoutes are git's smart HTTP protocol, at the repository's clone URL.
var gitRoutes = []route{
	{"git_refs", "GET /{owner}/{repo}/info/refs", aGitClient, "", shareGit},
	{"git_fetch", "POST /{owner}/{repo}/git-upload-pack", aGitClient, "", shareGit},
	{"git_push", "POST /{owner}/{repo}/git-receive-pack", aGitClient, "", shareGit},
}

// unknownRoute answers whatever GitHub has, or hasn't, and we don't.
var unknownRoute = route{"unknown", "/", anyone, "", func(*GitHub, *request) answer { return notFound() }}

// webhookRoute is a name only: faults under it lose deliveries.
const webhookRoute = "webhook"

// maxBody is how long a request's body may be.
func (rt route) maxBody() int64 {
	if rt.caller == aGitClient || rt.name == "upload_asset" {
		return 64 << 20
	}
	return maxBody
}

// isRoute tells whether faults can select that name.
func isRoute(name string) bool {
	for _, rt := range slices.Concat(apiRoutes, serviceRoutes, gitRoutes, []route{graphQLRoute, unknownRoute}) {
		if rt.name == name {
			return true
		}
	}
	return name == "*" || name == webhookRoute
}

// Handler is GitHub's face: the REST API at / and at /api/v3/ (as GitHub
// Enterprise Server has it), the issuer at /_services/token, and the runner's
// id-token endpoint.
func (g *GitHub) Handler() http.Handler { return http.HandlerFunc(g.serveMoved) }

func (g *GitHub) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(rt route, serve func(route, http.ResponseWriter, *http.Request), prefix string) {
		method, path, both := strings.Cut(rt.pattern, " ")
		if !both {
			method, path = "", rt.pattern
		}
		mux.HandleFunc(strings.TrimSpace(method+" "+prefix+path), func(w http.ResponseWriter, r *http.Request) {
			serve(rt, w, r)
		})
	}
	for _, rt := range apiRoutes {
		handle(rt, g.serveAPI, "")
		handle(rt, g.serveAPI, "/api/v3")
	}
	for _, prefix := range []string{"", "/api"} {
		handle(graphQLRoute, g.serveAPI, prefix)
	}
	for _, rt := range slices.Concat(serviceRoutes, gitRoutes) {
		handle(rt, g.serveService, "")
	}
	handle(unknownRoute, g.serveService, "")
	return mux
}

// serveMoved turns /repositories/{id}/…, where a 301 leads, into the path by name.
func (g *GitHub) serveMoved(w http.ResponseWriter, r *http.Request) {
	prefix, rest, found := strings.Cut(r.URL.Path, "/repositories/")
	if !found || (prefix != "" && prefix != "/api/v3") {
		g.mux.ServeHTTP(w, r)
		return
	}
	id, rest, _ := strings.Cut(rest, "/")
	g.mu.Lock()
	for _, repo := range g.repositories {
		if fmt.Sprint(repo.ID) == id {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = strings.TrimSuffix(prefix+"/repos/"+repo.fullName()+"/"+rest, "/"), ""
		}
	}
	g.mu.Unlock()
	g.mux.ServeHTTP(w, r)
}
