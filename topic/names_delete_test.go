package topic_test

import (
	"testing"

	"github.com/uniomq/unio/topic"
)

func TestDeleteFuncAsksForTheValue(t *testing.T) {
	var names topic.Names[int]
	names.Set("a", 1)
	if old, ok := names.DeleteFunc("a", func(v int) bool { return v == 2 }); ok || old != 1 {
		t.Errorf("got %d, %v; want 1, still there", old, ok)
	}
	if _, ok := names.DeleteFunc("b", func(int) bool { return true }); ok {
		t.Error("removed a name that is not there")
	}
	if old, ok := names.DeleteFunc("a", func(v int) bool { return v == 1 }); !ok || old != 1 || names.Len() != 0 {
		t.Errorf("got %d, %v, %d names left", old, ok, names.Len())
	}
}
