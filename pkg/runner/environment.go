package runner

import (
	"maps"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// The keys of the github context that GitHub exports as GITHUB_* variables.
var exported = []string{
	"action", "action_path", "action_ref", "action_repository", "actor", "actor_id", "api_url", "base_ref", "event_name",
	"event_path", "graphql_url", "head_ref", "job", "ref", "ref_name", "ref_protected", "ref_type", "repository", "repository_id",
	"repository_owner", "repository_owner_id", "retention_days", "run_attempt", "run_id", "run_number", "server_url", "sha",
	"triggering_actor", "workflow", "workflow_ref", "workflow_sha", "workspace",
}

// variables are what a phase finds in its environment. What comes later wins,
// so that everything the runner itself says can't be overridden by an earlier
// step, and everything it doesn't say shows as that step wrote it.
func (x *execution) variables(s *plannedStep, env, inputs pairs, files commandFiles) map[string]string {
	all := map[string]string{}
	if s.action.Image == "" {
		all = map[string]string{"PATH": inheritedPath(), "CI": "true", "GITHUB_ACTIONS": "true", "HOME": x.home}
		maps.Copy(all, x.job.Env)
	}
	maps.Copy(all, env.byName())
	for name, value := range x.state[s.id] {
		all["STATE_"+name] = value
	}
	for _, in := range inputs {
		all["INPUT_"+strings.ToUpper(strings.ReplaceAll(in.name, " ", "_"))] = in.value
	}
	if s.metadata != nil {
		all["HOME"] = x.home
	} else {
		// GitHub doesn't hand GITHUB_PATH to container actions.
		all["PATH"] = strings.Join(append(slices.Clone(x.path), all["PATH"]), ":")
	}
	x.contexts(all, s, files)
	return all
}

// listed turns variables into what a process takes.
func listed(variables map[string]string) []string {
	list := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, name+"="+variables[name])
	}
	return list
}

// contexts adds what the runner itself says.
func (x *execution) contexts(all map[string]string, s *plannedStep, files commandFiles) {
	github := x.github(s)
	for _, key := range exported {
		if value, ok := github[key]; ok {
			all["GITHUB_"+strings.ToUpper(key)] = value
		}
	}
	for name := range fileCommands {
		all["GITHUB_"+strings.ToUpper(name)] = files.path(name)
	}
	for name, value := range x.machine() {
		all["RUNNER_"+strings.ToUpper(name)] = value
	}
	if x.plan.idToken && x.job.IDTokenURL != "" {
		all["ACTIONS_ID_TOKEN_REQUEST_URL"] = x.job.IDTokenURL
		all["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = x.job.IDTokenRequestToken
	}
}

// github is the github context of a step.
func (x *execution) github(s *plannedStep) map[string]string {
	all := map[string]string{"workflow": x.plan.workflow.name, "job": x.plan.job.id}
	for key, value := range x.job.Context {
		all[strings.ToLower(key)] = value
	}
	all["action"], all["workspace"], all["event_path"] = s.id, x.workspace, x.event
	if s.metadata != nil {
		all["action_repository"], all["action_ref"] = splitUses(s.uses)
	}
	return all
}

// machine is the runner context.
func (x *execution) machine() map[string]string {
	arch := map[string]string{"amd64": "X64", "386": "X86", "arm64": "ARM64", "arm": "ARM"}[runtime.GOARCH]
	return map[string]string{
		"os": "Linux", "arch": arch, "name": "simulated", "environment": "github-hosted",
		"temp": x.temp, "tool_cache": filepath.Join(x.temp, "tools"), "workspace": filepath.Dir(x.workspace),
	}
}

// inheritedPath is the PATH that a child of this process gets by default.
func inheritedPath() string {
	for _, variable := range (&exec.Cmd{}).Environ() {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			return value
		}
	}
	return "/usr/local/bin:/usr/bin:/bin"
}
