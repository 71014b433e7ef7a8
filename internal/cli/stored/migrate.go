package stored

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/migrate"
	"github.com/uniomq/unio/internal/mosquittodb"
	"github.com/uniomq/unio/store/disk"
)

// migration is one call of unio migrate.
type migration struct {
	storeFlags
	source string // the mosquitto.db
	dryRun bool
}

// migrateCommand returns the command "unio migrate", which takes over what Mosquitto has stored.
func migrateCommand(load Load) *cobra.Command {
	m := migration{storeFlags: storeFlags{load: load}}
	cmd := &cobra.Command{
		Use:   "migrate --from FILE [--db FILE] [--store FOLDER] [--dry-run]",
		Short: "Take over what Mosquitto has stored",
		Long: `Migrate reads the mosquitto.db of a Mosquitto that was stopped and makes Unio's store of
it: sessions, subscriptions, queued and half-delivered messages, retained messages. It
reports what was taken over, and what was not and why.

The file and the folder are those of the configuration, unless --db and --store name others. The
file is not changed. A store that has content already is left as it is.`,
		Args:                  exit.NoArguments,
		SilenceUsage:          true,
		SilenceErrors:         true,
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return m.run(cmd) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&m.configFile, "from", "", "Mosquitto's configuration `FILE`, as the broker will have it, too")
	flags.StringVar(&m.source, "db", "", "the mosquitto.db, if it is another `FILE`")
	flags.StringVar(&m.folder, "store", "", "the store to make, if it is another `FOLDER`")
	flags.BoolVar(&m.dryRun, "dry-run", false, "report and write nothing")
	cmd.SetFlagErrorFunc(exit.InvalidFlag)
	return cmd
}

func (m *migration) run(cmd *cobra.Command) error {
	if m.configFile == "" && (m.source == "" || m.folder == "") {
		return exit.With(exit.Invalid, errors.New("expected --from FILE, or both --db and --store"))
	}
	cfg, dir, err := m.resolve()
	if err != nil {
		return err
	}
	if m.source == "" {
		m.source = cfg.MosquittoDB()
	}
	if cfg != nil && !cfg.Persistence {
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: persistence is false in %s: a broker with it will not read the store.\n", m.configFile)
	}
	if err := m.takeOver(cmd, cfg, dir); err != nil {
		return exit.With(exit.Failure, err)
	}
	return nil
}

func (m *migration) takeOver(cmd *cobra.Command, cfg *config.Config, dir string) error {
	if err := disk.CheckEmpty(dir); err != nil {
		return explain(err)
	}
	db, err := readMosquittoDB(m.source)
	if err != nil {
		return err
	}
	content, report, err := migrate.Plan(db, planOptions(cfg))
	if err != nil {
		return fmt.Errorf("%s: %w", m.source, err)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "From %s to %s.\n", m.source, dir)
	if _, err := report.WriteTo(out); err != nil {
		return err
	}
	if m.dryRun {
		fmt.Fprintln(out, "\nNothing was written.")
		return nil
	}
	if err := disk.Import(dir, content, m.newFolder(cfg)); err != nil {
		return explain(err)
	}
	fmt.Fprintln(out, "\nEverything is written.")
	return nil
}

func readMosquittoDB(path string) (_ *mosquittodb.DB, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such file; Mosquitto writes it at its end, with persistence true", path)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	db, err := mosquittodb.Read(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

func planOptions(cfg *config.Config) migrate.Options {
	o := migrate.Options{Now: time.Now()}
	if cfg == nil {
		return o
	}
	o.MaxExpiry = cfg.PersistentClientExpiration
	listener := func(port uint16, of func(config.Listener) string) string {
		for _, l := range cfg.Listeners {
			if l.Port == port {
				return of(l)
			}
		}
		return ""
	}
	o.Listener = func(port uint16) string { return listener(port, unio.ListenerName) }
	o.MountPoint = func(port uint16) string {
		return listener(port, func(l config.Listener) string { return l.MountPoint })
	}
	return o
}
