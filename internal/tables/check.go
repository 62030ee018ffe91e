package tables

import "errors"

// ParseEndpoint checks the address of a table service, such as
// https://contoso.table.core.windows.net, and returns it in normal form. Its
// errors continue the name of a setting and hold no part of raw.
func ParseEndpoint(raw string) (string, error) { return checkEndpoint(raw) }

// CheckName checks the name of a table. Its error continues the name of a setting.
func CheckName(name string) error {
	if !tableName.MatchString(name) {
		return errors.New("is not a letter followed by 2 to 62 letters and digits")
	}
	return nil
}
