// Package stored holds the commands db and migrate, which work on what a broker has stored while no
// broker runs, or beside one.
package stored

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/cli/account"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/files"
	"github.com/uniomq/unio/store/disk"
)

// Load returns the configuration of a file as the broker takes it.
type Load func(file string) (*config.Config, error)

// Commands returns the commands db and migrate.
func Commands(load Load) []*cobra.Command {
	return []*cobra.Command{dbCommand(load), migrateCommand(load)}
}

// storeFlags say where a store is.
type storeFlags struct {
	load       Load
	configFile string
	folder     string
}

// resolve returns the configuration, nil without a file, and the store's folder.
func (f *storeFlags) resolve() (*config.Config, string, error) {
	if f.configFile == "" && f.folder == "" {
		return nil, "", exit.With(exit.Invalid, errors.New("which store? Expected -c FILE or --store FOLDER"))
	}
	if f.configFile == "" {
		return nil, f.folder, nil
	}
	cfg, err := f.load(f.configFile)
	if err != nil {
		return nil, "", exit.With(exit.OfConfig(err), err)
	}
	if f.folder != "" {
		return cfg, f.folder, nil
	}
	return cfg, cfg.StorePath(), nil
}

// newFolder is how a store is made for a configuration, nil: none. What root makes goes to the user that the broker will be.
func (f *storeFlags) newFolder(cfg *config.Config) disk.NewFolder {
	if cfg == nil {
		return disk.NewFolder{}
	}
	return disk.NewFolder{Sync: unio.StoreSync(cfg), Finish: func(folder string) error {
		who, err := account.Of(cfg)
		if err != nil || who == nil {
			return err
		}
		return files.GiveTree(folder, who.Owner())
	}}
}

// explain adds to an error what can be done about it.
func explain(err error) error {
	hint := ""
	switch {
	case errors.Is(err, disk.ErrInUse):
		hint = "stop the broker first"
	case errors.Is(err, disk.ErrNotEmpty):
		hint = "it was not changed; move it away first"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// dbCommand returns the command "unio db", for what a broker has stored.
func dbCommand(load Load) *cobra.Command {
	f := storeFlags{load: load}
	cmd := &cobra.Command{
		Use:   "db COMMAND {-c FILE | --store FOLDER}",
		Short: "Look at, back up and restore what a broker has stored",
		Long: `Db works on the folder in which a broker with persistence keeps what it stores: sessions,
subscriptions, queued and retained messages. List and dump need a broker that is
stopped, and change nothing; backup works while it runs, too.`,
		Args:                  exit.NoArguments,
		SilenceUsage:          true,
		SilenceErrors:         true,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help() // to where the user looks; the status says the rest
			return exit.Reported(exit.Invalid)
		},
	}
	flags := cmd.PersistentFlags()
	flags.SortFlags = false
	flags.StringVarP(&f.configFile, "config", "c", "", "the broker's configuration `FILE`")
	flags.StringVar(&f.folder, "store", "", "the store's `FOLDER`, if no configuration names it")
	cmd.SetFlagErrorFunc(exit.InvalidFlag)
	for _, sub := range []*cobra.Command{listCommand(&f), dumpCommand(&f), backupCommand(&f), restoreCommand(&f)} {
		sub.SilenceUsage, sub.SilenceErrors, sub.DisableFlagsInUseLine = true, true, true
		cmd.AddCommand(sub)
	}
	return cmd
}

// read calls fn with a reader of the store.
func (f *storeFlags) read(fn func(r *disk.Reader) error) error {
	_, dir, err := f.resolve()
	if err != nil {
		return err
	}
	r, err := disk.OpenReader(dir)
	if errors.Is(err, disk.ErrInUse) {
		err = fmt.Errorf("%w; stop the broker first, or look into a backup of it", err)
	}
	if err != nil {
		return exit.Failed(err)
	}
	return exit.Failed(errors.Join(fn(r), r.Close()))
}
