package simulator

import (
	"fmt"
	"net/url"
	"strconv"
)

// maxPage keeps a page's number within what can be multiplied.
const maxPage = 1 << 20

// page answers with one page of a list, and links to the next.
// https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
func (q *request) page(total int, slice func(from, to int) any) answer {
	size, number := 30, 1
	if n, err := strconv.Atoi(q.URL.Query().Get("per_page")); err == nil && n > 0 {
		size = min(n, 100)
	}
	if n, err := strconv.Atoi(q.URL.Query().Get("page")); err == nil && n > 0 {
		number = min(n, maxPage)
	}
	from := min((number-1)*size, total)
	to := min(from+size, total)
	a := ok(slice(from, to))
	if to < total {
		next := url.Values{"per_page": {strconv.Itoa(size)}, "page": {strconv.Itoa(number + 1)}}
		a.header.Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, q.base, q.URL.Path, next.Encode()))
	}
	return a
}
