package stored

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/store/disk"
)

func backupCommand(f *storeFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "backup {-c FILE | --store FOLDER} BACKUP",
		Short: "Copy the store as it is at one moment into one file",
		Long: `Backup writes the whole store into the file BACKUP, - for standard output. A broker that runs goes on, and what it
acknowledged before is in the copy. BACKUP has its name only when it is complete, and is a tar file
with checksums.`,
		Args: exit.Arguments("BACKUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, dir, err := f.resolve()
			if err != nil {
				return err
			}
			if args[0] == "-" {
				return exit.Failed(backUp(cmd.OutOrStdout(), dir))
			}
			return exit.Failed(writeWhole(args[0], func(w io.Writer) error { return backUp(w, dir) }))
		},
	}
}

// backUp writes a backup of a store, itself or by asking who has it open.
func backUp(w io.Writer, dir string) error {
	b := bufio.NewWriterSize(w, 1<<16)
	err := disk.BackupFolder(b, dir)
	if errors.Is(err, disk.ErrInUse) {
		_, err = disk.AskBackup(b, dir)
	}
	if err != nil {
		return err
	}
	return b.Flush()
}

// writeWhole writes a file that has its name only when it is whole and on the disk.
func writeWhole(path string, fill func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // again, mostly
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil //nolint:nilerr // the file is there; Windows has no folders to sync
	}
	_ = d.Sync()
	return d.Close()
}

func restoreCommand(f *storeFlags) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "restore {-c FILE | --store FOLDER} [--force] BACKUP",
		Short: "Make a store of a backup",
		Long: `Restore makes the store that the file BACKUP, - for standard input, is a copy of, checks
that it is complete, and then gives it its name. The broker must be stopped. A store that has content is
left as it is, unless --force says that it is to be replaced.`,
		Args: exit.Arguments("BACKUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return exit.Failed(f.restore(cmd, args[0], force))
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace a store that has content")
	return cmd
}

func (f *storeFlags) restore(cmd *cobra.Command, path string, force bool) error {
	cfg, dir, err := f.resolve()
	if err != nil {
		return err
	}
	in := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	o := f.newFolder(cfg)
	o.Replace = force
	m, err := disk.Restore(dir, bufio.NewReaderSize(in, 1<<16), o)
	switch {
	case errors.Is(err, disk.ErrNotEmpty) && !force:
		return fmt.Errorf("%w; it was not changed; --force replaces it", err)
	case err != nil:
		return explain(err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is now as it was at %s.\n", dir, m.Created.Format(time.RFC3339))
	return nil
}
