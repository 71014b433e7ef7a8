// Package passwd is the command "unio passwd", which edits password files.
package passwd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/scram"
	"github.com/uniomq/unio/internal/cli/ask"
	"github.com/uniomq/unio/internal/cli/exit"
)

// statusMismatch is the exit status of unio passwd when the two passwords that were
// typed differ; exit.Failure is that of all else, wrong usage included.
const statusMismatch = 2

// scramHash is the value of -H for credentials of SCRAM, whose file is another one than the password file.
const scramHash = "scram"

// call is one call of unio passwd.
type call struct {
	create, batch, remove, upgrade bool
	hash                           string
	iterations                     int
	algorithm                      auth.Algorithm
	in                             io.Reader
	out, errOut                    io.Writer
}

// Command returns the command "unio passwd", which edits password files. Its flags,
// texts and statuses are those of mosquitto_passwd.
func Command() *cobra.Command {
	var p call
	cmd := &cobra.Command{
		Use: `passwd [-H HASH] [-I ITERATIONS] [-c | -D] FILE USERNAME
  unio passwd [-H HASH] [-I ITERATIONS] [-c] -b FILE USERNAME PASSWORD
  unio passwd [-H HASH] [-I ITERATIONS] -U FILE`,
		Short: "Edit a password file",
		Long: `Passwd gives a user of a password file a password, which it asks for twice, or adds
the user. A file named - is standard output, with -c only. A broker that runs reads the
file again on SIGHUP.

Files with argon2id hashes are for Unio and Mosquitto 2.1; for Mosquitto 2.0 use
-H sha512-pbkdf2.`,
		SilenceUsage:          true,
		SilenceErrors:         true,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.in, p.out, p.errOut = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			if len(args) == 0 && cmd.Flags().NFlag() == 0 {
				_ = cmd.Help() // to where the user looks; the status says the rest
				return exit.Reported(exit.Failure)
			}
			if p.hash == scramHash && !cmd.Flags().Changed("iterations") {
				p.iterations = scram.DefaultIterations
			}
			return p.run(args)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.SetInterspersed(false) // a password may begin with a dash
	fs.BoolVarP(&p.batch, "batch", "b", false, "take the password from the command line, where others may see it")
	fs.BoolVarP(&p.create, "create", "c", false, "create the file; one that exists is replaced")
	fs.BoolVarP(&p.remove, "delete", "D", false, "delete the user")
	fs.BoolVarP(&p.upgrade, "upgrade", "U", false, "hash the passwords that are in the file as plain text")
	fs.StringVarP(&p.hash, "hash", "H", auth.Argon2id.String(), "hash with `HASH`: argon2id, sha512-pbkdf2, sha512; scram for an auth_scram_file")
	fs.IntVarP(&p.iterations, "iterations", "I", auth.DefaultIterations, "`NUMBER` of iterations of sha512-pbkdf2; of scram 10000 without it")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit.With(exit.Failure, err) })
	return cmd
}

func (p *call) run(args []string) error {
	err := p.check(args)
	if err == nil {
		switch {
		case p.upgrade:
			err = p.upgradeFile(args[0])
		case p.remove:
			err = p.deleteUser(args[0], args[1])
		default:
			err = p.setPassword(args)
		}
	}
	return exit.Failed(err)
}

// check refuses flags and arguments that do not go together.
func (p *call) check(args []string) error {
	for _, pair := range [...]struct {
		both bool
		text string
	}{
		{p.create && p.remove, "-c and -D"},
		{p.create && p.upgrade, "-c and -U"},
		{p.remove && p.upgrade, "-D and -U"},
		{p.remove && p.batch, "-b and -D"},
		{p.upgrade && p.hash == scramHash, "-U and -H scram"},
	} {
		if pair.both {
			return fmt.Errorf("%s cannot be used together", pair.text)
		}
	}
	if p.iterations < 1 {
		return errors.New("number of iterations must be > 0")
	}
	if p.hash != scramHash {
		var err error
		if p.algorithm, err = auth.ParseAlgorithm(p.hash); err != nil {
			return err
		}
	}
	want := []string{"FILE", "USERNAME"}
	switch {
	case p.upgrade:
		want = want[:1]
	case p.batch:
		want = append(want, "PASSWORD")
	}
	if len(args) != len(want) {
		return fmt.Errorf("expected %s, not %d arguments; see 'unio passwd -h'", strings.Join(want, " "), len(args))
	}
	if len(args) > 1 {
		return auth.CheckName(args[1])
	}
	return nil
}

func (p *call) upgradeFile(path string) error {
	e, err := p.open(path)
	if err != nil {
		return err
	}
	hash := func(password []byte) (*auth.Hash, error) { return auth.NewHash(p.algorithm, p.iterations, password) }
	if _, err := e.Upgrade(hash); err != nil {
		return err
	}
	return p.save(e, path)
}

func (p *call) deleteUser(path, user string) error {
	e, err := p.open(path)
	if err != nil {
		return err
	}
	if !e.Delete(user) {
		fmt.Fprintf(p.errOut, "Warning: User %s not found in password file.\n", user)
		return exit.Reported(exit.Failure)
	}
	return p.save(e, path)
}

func (p *call) setPassword(args []string) error {
	path, user := args[0], args[1]
	toStdout := p.create && path == "-"
	e := auth.NewEditor(path)
	if !p.create {
		var err error
		if e, err = p.open(path); err != nil {
			return err
		}
	}
	var password []byte
	if p.batch {
		password = []byte(args[2])
	} else {
		prompts := p.out
		if toStdout { // which is to have the file and nothing else
			prompts = p.errOut
		}
		var err error
		if password, err = askPassword(p.in, prompts); err != nil {
			return err
		}
	}
	if len(password) > ask.MaxPassword {
		return fmt.Errorf("password must be less than %d characters long", ask.MaxPassword+1)
	}
	h, err := p.hashed(password)
	if err != nil {
		return err
	}
	if p.hash == scramHash {
		scram.AddSecret(e)
	}
	added, err := e.Set(user, h)
	if err != nil {
		return err
	}
	if toStdout {
		_, err = e.WriteTo(p.out)
		return err
	}
	if err := p.save(e, path); err != nil {
		return err
	}
	what := "Updating"
	if added {
		what = "Adding"
	}
	fmt.Fprintf(p.out, "%s password for user %s\n", what, user)
	return nil
}

func (p *call) hashed(password []byte) (fmt.Stringer, error) {
	if p.hash == scramHash {
		return scram.NewCredentials(p.iterations, password)
	}
	return auth.NewHash(p.algorithm, p.iterations, password)
}

func (p *call) open(path string) (*auth.Editor, error) {
	e, err := auth.OpenEditor(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("unable to open password file %s: there is none; -c creates it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("unable to open password file %s: %w", path, err)
	}
	return e, nil
}

func (p *call) save(e *auth.Editor, path string) error {
	if err := e.Save(); err != nil {
		return fmt.Errorf("unable to write password file %s: %w", path, err)
	}
	return nil
}

// askPassword asks for a new password twice.
func askPassword(in io.Reader, prompts io.Writer) ([]byte, error) {
	read := ask.Reader(in)
	var answers [2][]byte
	for i, prompt := range [2]string{"Password: ", "Reenter password: "} {
		fmt.Fprint(prompts, prompt)
		answer, err := read()
		fmt.Fprintln(prompts)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the password: %w", err)
		}
		if answers[i] = bytes.TrimRight(answer, "\r\n"); len(answers[i]) == 0 {
			return nil, errors.New("empty password")
		}
	}
	if !bytes.Equal(answers[0], answers[1]) {
		return nil, exit.With(statusMismatch, errors.New("passwords do not match"))
	}
	return answers[0], nil
}
