// Package policy says what a workload may have.
//
// A policy file is strict YAML in one of three places: the operator's
// directory, the organisation's policy repository, the target repository
// itself. [Parse] reads one and either understands all of it or refuses it
// with every mistake's line and column. [NewSet] joins the files in force for
// one target, and [Set.Decide] answers one request:
//
//	owner   the workload belongs to the target's owner, or to a caller that every ceiling names
//	grant   the first grant of the name asked for that covers the target and admits the workload
//	bounds  what is asked, filled from the grant, is within the grant and within every ceiling
//	reason  the grant's wishes for a reason are met
//
// Whatever is not allowed is denied. Values are compared, never cut to fit, and
// each comparison that failed is told with the line that made it. A decision is
// a pure function of set, workload and request: the package does no input or
// output, reads no clock, and a [File] or [Set] may be used by many goroutines.
package policy
