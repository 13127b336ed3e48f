package identity

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	repositoryName = regexp.MustCompile(`^([A-Za-z0-9_-]{1,100})/([A-Za-z0-9._-]{1,100})$`)
	immutableRepo  = regexp.MustCompile(`^[^@/]+@([0-9]+)/[^@/]+@([0-9]+)$`)
)

// checkRepository wants repository to be owner/name with the owner that repository_owner tells.
func (r *claimReader) checkRepository(w Workload) {
	parts := repositoryName.FindStringSubmatch(w.Repository)
	switch {
	case parts == nil || strings.Trim(parts[2], ".") == "":
		r.refuse("the claim repository must be owner/name")
	case !strings.EqualFold(parts[1], w.RepositoryOwner):
		r.refuse("the claims repository and repository_owner tell different owners")
	}
}

// checkSubject wants the ids inside an immutable sub, repo:O@OWNER_ID/R@REPOSITORY_ID:…,
// to be those of the id claims. No name holds an @, so one before the second
// colon means that shape; a sub that a repository's admin rewrote is left alone.
func (r *claimReader) checkSubject(w Workload) {
	rest, ok := strings.CutPrefix(w.Subject, "repo:")
	repository, _, _ := strings.Cut(rest, ":")
	if !ok || !strings.Contains(repository, "@") {
		return
	}
	ids := immutableRepo.FindStringSubmatch(repository)
	switch {
	case ids == nil:
		r.refuse("the claim sub must hold its ids as repo:OWNER@ID/NAME@ID")
	case ids[1] != strconv.FormatInt(w.RepositoryOwnerID, 10):
		r.refuse("the claims sub and repository_owner_id tell different owners")
	case ids[2] != strconv.FormatInt(w.RepositoryID, 10):
		r.refuse("the claims sub and repository_id tell different repositories")
	}
}
