package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/files"
	"github.com/uniomq/unio/store/disk"
)

// storeFlags say where a store is.
type storeFlags struct {
	configFile string
	folder     string
}

// resolve returns the configuration, nil without a file, and the store's folder.
func (f *storeFlags) resolve() (*config.Config, string, error) {
	if f.configFile == "" && f.folder == "" {
		return nil, "", &statusError{StatusInvalid, errors.New("which store? Expected -c FILE or --store FOLDER")}
	}
	if f.configFile == "" {
		return nil, f.folder, nil
	}
	cfg, err := configure(&flags{configFile: f.configFile})
	if err != nil {
		return nil, "", &statusError{statusOf(err), err}
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
		who, err := (&process{cfg: cfg}).account()
		if err != nil || who == nil {
			return err
		}
		return files.GiveTree(folder, who.owner())
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

// failure gives an error the status of what failed.
func failure(err error) error {
	var coded *statusError
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return &statusError{StatusFailure, err}
}

// dbCommand returns the command "unio db", for what a broker has stored.
func dbCommand() *cobra.Command {
	var f storeFlags
	cmd := &cobra.Command{
		Use:   "db COMMAND {-c FILE | --store FOLDER}",
		Short: "Look at, back up and restore what a broker has stored",
		Long: `Db works on the folder in which a broker with persistence keeps what it stores: sessions,
subscriptions, queued and retained messages. List and dump need a broker that is
stopped, and change nothing; backup works while it runs, too.`,
		Args:                  noArguments,
		SilenceUsage:          true,
		SilenceErrors:         true,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help() // to where the user looks; the status says the rest
			return &statusError{StatusInvalid, errReported}
		},
	}
	flags := cmd.PersistentFlags()
	flags.SortFlags = false
	flags.StringVarP(&f.configFile, "config", "c", "", "the broker's configuration `FILE`")
	flags.StringVar(&f.folder, "store", "", "the store's `FOLDER`, if no configuration names it")
	cmd.SetFlagErrorFunc(invalid)
	for _, sub := range []*cobra.Command{listCommand(&f), dumpCommand(&f), backupCommand(&f), restoreCommand(&f)} {
		sub.SilenceUsage, sub.SilenceErrors, sub.DisableFlagsInUseLine = true, true, true
		cmd.AddCommand(sub)
	}
	return cmd
}

// arguments refuses another number of arguments.
func arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return &statusError{StatusInvalid, fmt.Errorf("expected %v, not %d arguments", names, len(args))}
		}
		return nil
	}
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
		return failure(err)
	}
	return failure(errors.Join(fn(r), r.Close()))
}
