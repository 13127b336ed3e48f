package runner

import (
	"crypto/rand"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Docker says how the images of actions are run. Its zero value is a job without
// a container of its own.
type Docker struct {
	// Network is the network that each container joins, as all actions of a job
	// with a `container` do; empty means the engine's default bridge.
	Network string
	// Label is put on each container, by which those that a lost machine left
	// running can be found; empty means "runner".
	Label string
}

// A mount is a folder of the machine where a container sees it.
type mount struct{ host, container string }

// mounts are those of a container action, in the runner's order.
// https://github.com/actions/runner/blob/main/src/Runner.Worker/Handlers/ContainerActionHandler.cs
func (x *execution) mounts() []mount {
	return []mount{
		{x.home, "/github/home"},
		{filepath.Dir(x.event), "/github/workflow"},
		{x.commands, "/github/file_commands"},
		{x.workspace, "/github/workspace"},
	}
}

// container makes the `docker run` of a phase. The variables' values reach the
// client by its own environment, which keeps them out of the command line.
// https://github.com/actions/runner/blob/main/src/Runner.Worker/Container/DockerCommandManager.cs
func (x *execution) container(p phase, variables map[string]string, args []string) (program, error) {
	client, err := exec.LookPath("docker")
	if err != nil {
		return program{}, err
	}
	entrypoint := p.metadata.entrypoint
	if p.kind == "post" {
		entrypoint = p.metadata.post
	}
	label := x.job.Docker.Label
	if label == "" {
		label = "runner"
	}
	run := []string{"run", "--name", containerName(p.action.Image), "--label", label, "--workdir", "/github/workspace", "--rm"}
	env := (&exec.Cmd{}).Environ()
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		run = append(run, "-e", name)
		env = append(env, name+"="+translate(variables[name], x.mounts()))
	}
	run = append(run, "-e", "GITHUB_ACTIONS=true")
	if _, set := variables["CI"]; !set {
		run = append(run, "-e", "CI=true")
	}
	if entrypoint != "" {
		run = append(run, "--entrypoint", entrypoint)
	}
	if x.job.Docker.Network != "" {
		run = append(run, "--network", x.job.Docker.Network)
	}
	run = append(run, "-v", "/var/run/docker.sock:/var/run/docker.sock")
	for _, m := range x.mounts() {
		run = append(run, "-v", m.host+":"+m.container)
	}
	run = append(append(run, p.action.Image), args...)
	return program{client, run, env, x.workspace}, nil
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9]`)

func containerName(image string) string {
	return "c" + notInName.ReplaceAllString(image, "") + "_" + strings.ToLower(rand.Text()[:6])
}

// translate turns a path of the machine into the container's; any other value stays.
func translate(value string, mounts []mount) string {
	for _, m := range mounts {
		if rest, ok := strings.CutPrefix(value, m.host); ok && (rest == "" || rest[0] == '/') {
			return m.container + rest
		}
	}
	return value
}
