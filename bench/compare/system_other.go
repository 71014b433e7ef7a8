//go:build !unix

package main

import (
	"errors"
	"os"
)

func raiseFileLimit() error { return errors.ErrUnsupported }

func pause(*os.Process) error { return errors.ErrUnsupported }

func proceed(*os.Process) error { return errors.ErrUnsupported }
