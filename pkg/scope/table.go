package scope

// A Kind says on what a permission acts.
type Kind uint8

// The kinds of GitHub App permissions. Only the first two can be part of an
// installation token that Curfew hands out.
const (
	OfRepository Kind = iota + 1
	OfOrganization
	OfUser
	OfEnterprise
)

type permission struct {
	kind     Kind
	min, max Level
}

// table is the closed list of GitHub App permissions and their levels. A level
// between min and max is valid; workflows has no read, for example.
// https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
var table = map[string]permission{
	"actions":                              {OfRepository, Read, Write},
	"administration":                       {OfRepository, Read, Write},
	"artifact_metadata":                    {OfRepository, Read, Write},
	"attestations":                         {OfRepository, Read, Write},
	"checks":                               {OfRepository, Read, Write},
	"code_quality":                         {OfRepository, Read, Write},
	"codespaces":                           {OfRepository, Read, Write},
	"contents":                             {OfRepository, Read, Write},
	"dependabot_secrets":                   {OfRepository, Read, Write},
	"deployments":                          {OfRepository, Read, Write},
	"discussions":                          {OfRepository, Read, Write},
	"environments":                         {OfRepository, Read, Write},
	"issues":                               {OfRepository, Read, Write},
	"merge_queues":                         {OfRepository, Read, Write},
	"metadata":                             {OfRepository, Read, Write},
	"packages":                             {OfRepository, Read, Write},
	"pages":                                {OfRepository, Read, Write},
	"pull_requests":                        {OfRepository, Read, Write},
	"repository_custom_properties":         {OfRepository, Read, Write},
	"repository_hooks":                     {OfRepository, Read, Write},
	"repository_projects":                  {OfRepository, Read, Admin},
	"secret_scanning_alerts":               {OfRepository, Read, Write},
	"secrets":                              {OfRepository, Read, Write},
	"security_events":                      {OfRepository, Read, Write},
	"single_file":                          {OfRepository, Read, Write},
	"statuses":                             {OfRepository, Read, Write},
	"vulnerability_alerts":                 {OfRepository, Read, Write},
	"workflows":                            {OfRepository, Write, Write},
	"custom_properties_for_organizations":  {OfOrganization, Read, Write},
	"members":                              {OfOrganization, Read, Write},
	"organization_administration":          {OfOrganization, Read, Write},
	"organization_custom_roles":            {OfOrganization, Read, Write},
	"organization_custom_org_roles":        {OfOrganization, Read, Write},
	"organization_custom_properties":       {OfOrganization, Read, Admin},
	"organization_copilot_seat_management": {OfOrganization, Read, Write},
	"organization_copilot_agent_settings":  {OfOrganization, Read, Write},
	"organization_announcement_banners":    {OfOrganization, Read, Write},
	"organization_events":                  {OfOrganization, Read, Read},
	"organization_hooks":                   {OfOrganization, Read, Write},
	"organization_personal_access_tokens":  {OfOrganization, Read, Write},
	"organization_personal_access_token_requests": {OfOrganization, Read, Write},
	"organization_plan":                           {OfOrganization, Read, Read},
	"organization_projects":                       {OfOrganization, Read, Admin},
	"organization_packages":                       {OfOrganization, Read, Write},
	"organization_secrets":                        {OfOrganization, Read, Write},
	"organization_self_hosted_runners":            {OfOrganization, Read, Write},
	"organization_user_blocking":                  {OfOrganization, Read, Write},
	"email_addresses":                             {OfUser, Read, Write},
	"followers":                                   {OfUser, Read, Write},
	"git_ssh_keys":                                {OfUser, Read, Write},
	"gpg_keys":                                    {OfUser, Read, Write},
	"interaction_limits":                          {OfUser, Read, Write},
	"profile":                                     {OfUser, Write, Write},
	"starring":                                    {OfUser, Read, Write},
	"enterprise_custom_properties_for_organizations": {OfEnterprise, Read, Admin},
}

// KindOf tells on what the named permission acts, or 0 if GitHub has no such permission.
func KindOf(name string) Kind { return table[name].kind }

// Valid tells whether GitHub knows the permission at that level.
func Valid(name string, level Level) bool {
	p, known := table[name]
	return known && level >= p.min && level <= p.max
}
