//go:build !unix

package main

import (
	"errors"
	"os"
	"os/exec"
)

func raiseFileLimit() error { return errors.ErrUnsupported }

func ownGroup(*exec.Cmd) {}

func pause(*os.Process) error { return errors.ErrUnsupported }

func proceed(*os.Process) error { return errors.ErrUnsupported }
