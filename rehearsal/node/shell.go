package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
)

// Builtins of the interpreter that touch nothing but the script. The others,
// which would look at files of the machine the simulation runs on, are
// unknown commands here.
var builtins = []string{
	":", "true", "false", "exit", "return", "break", "continue", "set", "shift", "unset",
	"echo", "printf", "read", "wait", "test", "[",
}

// shell runs a script as the login shell of user core would, against the
// files and commands of the simulated system only, and returns its status.
func (s *system) shell(ctx context.Context, script string, out, errOut io.Writer) uint8 {
	file, err := parseScript(script)
	if err != nil {
		fmt.Fprintf(errOut, "bash: %v\n", err)
		return 2
	}
	root := s.root()
	runner, err := interp.New(
		interp.Env(expand.ListEnviron("HOME=/var/home/core", "USER=core", "PATH=/usr/bin", "UID=1000", "EUID=1000", "GID=1000")),
		interp.Dir("/"), interp.StdIO(nil, out, errOut),
		interp.CallHandler(confine), interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.exec(root) }),
		interp.OpenHandler(root.open), interp.ReadDirHandler2(root.readDir), interp.StatHandler(root.stat),
	)
	if err != nil {
		fmt.Fprintf(errOut, "bash: %v\n", err)
		return 126
	}
	return exitStatus(runner.Run(ctx, file))
}

func exitStatus(err error) uint8 {
	var status interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return uint8(status)
	}
	return 1
}

var safeFlags = map[string]string{"-r": "-e", "-x": "-d", "-w": "-S", "-O": "-S", "-G": "-S", "-t": "-S"}

// unknown marks a builtin that is not to be run as one.
const unknown = "\x00"

// confine sees every simple command before the interpreter does.
func confine(_ context.Context, args []string) ([]string, error) {
	if !slices.Contains(builtins, args[0]) {
		return append([]string{unknown + args[0]}, args[1:]...), nil
	}
	if args[0] != "test" && args[0] != "[" {
		return args, nil
	}
	safe := slices.Clone(args)
	for i, arg := range args {
		if flag, ok := safeFlags[arg]; ok {
			safe[i] = flag
		}
	}
	return safe, nil
}

// exec runs a command of the simulated system.
func (s *system) exec(root root) interp.ExecHandlerFunc {
	return func(ctx context.Context, args []string) error {
		c := interp.HandlerCtx(ctx)
		args[0] = strings.TrimPrefix(args[0], unknown)
		args = withoutSudo(args)
		name := args[0]
		run, ok := commands[path.Base(name)]
		if !ok {
			fmt.Fprintf(c.Stderr, "bash: %s: command not found\n", name)
			return interp.ExitStatus(127)
		}
		if status := run(invocation{s, root, args[1:], c.Stdin, c.Stdout, c.Stderr}); status != 0 {
			return interp.ExitStatus(status)
		}
		return nil
	}
}

// withoutSudo drops sudo, for core may do anything without a password.
func withoutSudo(args []string) []string {
	for len(args) > 1 && (args[0] == "sudo" || args[0] == "-n") {
		args = args[1:]
	}
	return args
}
