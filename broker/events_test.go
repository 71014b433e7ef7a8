package broker_test

import (
	"reflect"
	"testing"

	"github.com/uniomq/unio/broker"
)

// TestTeeTellsAll fills each event of two observers, and looks who is told, in which order.
func TestTeeTellsAll(t *testing.T) {
	t.Parallel()
	kind := reflect.TypeFor[broker.Events]()
	for i := range kind.NumField() {
		t.Run(kind.Field(i).Name, func(t *testing.T) {
			t.Parallel()
			var told []int
			observer := func(n int) broker.Events {
				var e broker.Events
				f := reflect.ValueOf(&e).Elem().Field(i)
				f.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) []reflect.Value {
					told = append(told, n)
					return nil
				}))
				return e
			}
			for _, k := range []struct {
				observers []broker.Events
				want      []int
			}{
				{[]broker.Events{observer(1), {}, observer(2), observer(3)}, []int{1, 2, 3}},
				{[]broker.Events{{}, observer(1)}, []int{1}},
				{[]broker.Events{{}, {}}, nil},
			} {
				all := reflect.ValueOf(broker.Tee(k.observers...))
				for j := range kind.NumField() {
					if f := all.Field(j); f.IsNil() != (j != i || k.want == nil) {
						t.Errorf("%s is nil: %v", kind.Field(j).Name, f.IsNil())
					}
				}
				told = nil
				if f := all.Field(i); !f.IsNil() {
					args := make([]reflect.Value, f.Type().NumIn())
					for a := range args {
						args[a] = reflect.Zero(f.Type().In(a))
					}
					f.Call(args)
				}
				if !reflect.DeepEqual(told, k.want) {
					t.Errorf("told %v, want %v", told, k.want)
				}
			}
		})
	}
}
