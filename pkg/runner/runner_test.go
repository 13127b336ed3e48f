package runner

import (
	"testing"
)

func TestAJobRunsItsPhases(t *testing.T) {
	s := newStage(t, `
- uses: acme/thing@v1
  id: thing
  with: { greeting: hello }
- run: echo "got $TOKEN"
  env: { TOKEN: "${{ steps.thing.outputs.token }}" }
`)
	s.action("thing", "greeting: {}", `
echo "::add-mask::s3cret"
echo "token=s3cret" >> "$GITHUB_OUTPUT"
echo "handle=h1" >> "$GITHUB_STATE"
`, `echo "ending $STATE_handle"`)
	r := s.run(t.Context())
	if got, want := order(r), "thing:main=success __run:run=success thing:post=success"; got != want {
		t.Errorf("order\n got %s\nwant %s", got, want)
	}
	t.Log(r.Log)
}
