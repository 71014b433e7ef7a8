package cli_test

import (
	"os"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }
