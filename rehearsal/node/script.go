package node

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// parseScript admits the part of the shell language that probes use. The rest
// is refused: the interpreter panics on some of it, in goroutines of its own,
// and would use real files for other (process substitution, ~user).
func parseScript(script string) (*syntax.File, error) {
	file, err := syntax.NewParser().Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, err
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		if err == nil && n != nil && !admit(n) {
			err = fmt.Errorf("line %d: this syntax is not simulated", n.Pos().Line())
		}
		return err == nil
	})
	return file, err
}

func admit(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.File, *syntax.Comment, *syntax.CallExpr, *syntax.Lit, *syntax.CmdSubst, *syntax.Subshell, *syntax.Block,
		*syntax.IfClause, *syntax.WhileClause, *syntax.CaseClause, *syntax.CaseItem, *syntax.WordIter, *syntax.TestClause, *syntax.ParenTest:
		return true
	case *syntax.Stmt:
		return !n.Background && !n.Coprocess
	case *syntax.SglQuoted:
		return true
	case *syntax.DblQuoted:
		return !n.Dollar
	case *syntax.BinaryCmd:
		return n.Op != syntax.PipeAll
	case *syntax.ForClause:
		return !n.Select
	case *syntax.Assign:
		return n.Array == nil && n.Index == nil && !n.Append
	case *syntax.ParamExp:
		return plainParameter(n)
	case *syntax.Redirect:
		return admitRedirect(n)
	case *syntax.Word:
		return !strings.HasPrefix(n.Lit(), "~")
	case *syntax.UnaryTest:
		n.Op = safeTest(n.Op)
		return n.Op != syntax.TsVarSet && n.Op != syntax.TsRefVar && n.Op != syntax.TsOptSet
	case *syntax.BinaryTest:
		return n.Op != syntax.TsReMatch
	}
	return false
}

// plainParameter is $x or ${x}.
func plainParameter(p *syntax.ParamExp) bool {
	return !p.Excl && !p.Length && !p.Width && p.Index == nil && p.Slice == nil && p.Repl == nil && p.Names == 0 && p.Exp == nil
}

// admitRedirect takes < > >> &> to words, 2>&1 and >&2.
func admitRedirect(r *syntax.Redirect) bool {
	if r.N != nil && r.N.Value != "1" && r.N.Value != "2" {
		return false
	}
	switch r.Op {
	case syntax.RdrIn:
		return r.N == nil
	case syntax.RdrOut, syntax.AppOut, syntax.RdrAll:
		return true
	case syntax.DplOut:
		return slices.Contains([]string{"1", "2"}, r.Word.Lit())
	}
	return false
}

// safeTest replaces the tests that the interpreter asks the real kernel: in
// the virtual root everything is readable, only directories can be entered,
// and nothing is writable or one's own.
func safeTest(op syntax.UnTestOperator) syntax.UnTestOperator {
	switch op {
	case syntax.TsRead:
		return syntax.TsExists
	case syntax.TsExec:
		return syntax.TsDirect
	case syntax.TsWrite, syntax.TsUsrOwn, syntax.TsGrpOwn, syntax.TsFdTerm:
		return syntax.TsSocket
	}
	return op
}
