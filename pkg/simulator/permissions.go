package simulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Every permission a GitHub App can hold, by the levels it knows.
// https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
const (
	readOrWrite = `actions administration artifact_metadata attestations checks code_quality codespaces
		contents custom_properties_for_organizations dependabot_secrets deployments discussions email_addresses
		environments followers git_ssh_keys gpg_keys interaction_limits issues members merge_queues metadata
		organization_administration organization_announcement_banners organization_copilot_agent_settings
		organization_copilot_seat_management organization_custom_org_roles organization_custom_roles
		organization_hooks organization_packages organization_personal_access_token_requests
		organization_personal_access_tokens organization_secrets organization_self_hosted_runners
		organization_user_blocking packages pages pull_requests repository_custom_properties repository_hooks
		secret_scanning_alerts secrets security_events single_file starring statuses vulnerability_alerts`
	readOnly       = `organization_events organization_plan`
	writeOnly      = `profile workflows`
	readWriteAdmin = `enterprise_custom_properties_for_organizations organization_custom_properties
		organization_projects repository_projects`
)

var levelsOf = permissionTable()

func permissionTable() map[string][]string {
	table := map[string][]string{}
	add := func(names string, levels ...string) {
		for _, name := range strings.Fields(names) {
			table[name] = levels
		}
	}
	add(readOrWrite, "read", "write")
	add(readOnly, "read")
	add(writeOnly, "write")
	add(readWriteAdmin, "read", "write", "admin")
	return table
}

var rank = map[string]int{"read": 1, "write": 2, "admin": 3}

// atLeast tells whether a level held includes a level needed.
func atLeast(held, needed string) bool {
	return rank[needed] > 0 && rank[held] >= rank[needed]
}

// within names the first permission, in alphabetical order, that others don't
// include; it is empty when they include all.
func within(permissions, others map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(permissions)) {
		if !atLeast(others[name], permissions[name]) {
			return name
		}
	}
	return ""
}

// knownPermissions refuses names and levels that GitHub doesn't have.
func knownPermissions(permissions map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(permissions)) {
		levels, ok := levelsOf[name]
		if !ok {
			return fmt.Errorf("no permission %q", name)
		}
		if !slices.Contains(levels, permissions[name]) {
			return fmt.Errorf("permission %s has no level %q", name, permissions[name])
		}
	}
	return nil
}

// withMetadata returns a copy that has metadata: read at least, as every
// installation does.
func withMetadata(permissions map[string]string) map[string]string {
	all := map[string]string{"metadata": "read"}
	maps.Copy(all, permissions)
	return all
}
