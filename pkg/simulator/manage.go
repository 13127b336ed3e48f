package simulator

import "net/http"

// Manage is the back door, as JSON. Serve it on a listener of its own.
func (g *GitHub) Manage() http.Handler { return g.manage }

func (g *GitHub) newManageMux() *http.ServeMux { return http.NewServeMux() }
