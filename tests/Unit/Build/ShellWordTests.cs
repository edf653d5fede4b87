using Slipway.Build.Syntax;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary>From the Dockerfile reference, "Environment replacement", and the shell's rules it names (POSIX 2.6.2).</summary>
public sealed class ShellWordTests
{
    private static readonly Dictionary<string, string> s_variables = new()
    {
        ["foo"] = "bar", ["empty"] = "", ["path"] = "/usr/local/lib/x.tar.gz", ["space"] = "a b", ["A_1"] = "one", ["star"] = "a*b", ["word"] = "foobarfoo", ["1"] = "first",
    };

    [Theory]
    [InlineData("", "")]
    [InlineData("plain", "plain")]
    [InlineData("$foo", "bar")]
    [InlineData("${foo}", "bar")]
    [InlineData("${foo}_x", "bar_x")]
    [InlineData("$foo_x", "")]
    [InlineData("x$foo/y", "xbar/y")]
    [InlineData("$foo$foo", "barbar")]
    [InlineData("$foo.txt", "bar.txt")]
    [InlineData("$A_1", "one")]
    [InlineData("$1", "first")]
    [InlineData("$10", "first0")]
    [InlineData("$unset", "")]
    [InlineData("${unset}", "")]
    [InlineData("$", "$")]
    [InlineData("$ x", "$ x")]
    [InlineData("a$", "a$")]
    [InlineData("$-", "$-")]
    [InlineData("$/", "$/")]
    [InlineData("$$foo", "$bar")]
    [InlineData("\\$foo", "$foo")]
    [InlineData("\\${foo}", "${foo}")]
    [InlineData("\\\\$foo", "\\bar")]
    [InlineData("\\a", "a")]
    [InlineData("a\\ b", "a b")]
    [InlineData("a\\", "a\\")]
    [InlineData("'$foo'", "$foo")]
    [InlineData("'a b'", "a b")]
    [InlineData("'\\'", "\\")]
    [InlineData("''", "")]
    [InlineData("\"\"", "")]
    [InlineData("\"$foo\"", "bar")]
    [InlineData("\"a b\"", "a b")]
    [InlineData("\"\\$foo\"", "$foo")]
    [InlineData("\"\\\"\"", "\"")]
    [InlineData("\"\\\\\"", "\\")]
    [InlineData("\"\\a\"", "\\a")]
    [InlineData("\"'$foo'\"", "'bar'")]
    [InlineData("'\"$foo\"'", "\"$foo\"")]
    [InlineData("a\"b\"'c'd", "abcd")]
    [InlineData("\"$space\"", "a b")]
    [InlineData("$space", "a b")]
    [InlineData("$star", "a*b")]
    [InlineData("${foo:-x}", "bar")]
    [InlineData("${unset:-x}", "x")]
    [InlineData("${empty:-x}", "x")]
    [InlineData("${empty-x}", "")]
    [InlineData("${unset-x}", "x")]
    [InlineData("${foo-x}", "bar")]
    [InlineData("${unset:-}", "")]
    [InlineData("${unset:-$foo}", "bar")]
    [InlineData("${unset:-${foo}}", "bar")]
    [InlineData("${unset:-${other:-deep}}", "deep")]
    [InlineData("${unset:-a b}", "a b")]
    [InlineData("${unset:-'a}b'}", "a}b")]
    [InlineData("${unset:-a\\}b}", "a}b")]
    [InlineData("${unset:-a:b}", "a:b")]
    [InlineData("${foo:+x}", "x")]
    [InlineData("${unset:+x}", "")]
    [InlineData("${empty:+x}", "")]
    [InlineData("${empty+x}", "x")]
    [InlineData("${unset+x}", "")]
    [InlineData("${foo:+${space}}", "a b")]
    [InlineData("${foo:?x}", "bar")]
    [InlineData("${empty?x}", "")]
    [InlineData("${word#foo}", "barfoo")]
    [InlineData("${word#bar}", "foobarfoo")]
    [InlineData("${word%foo}", "foobar")]
    [InlineData("${word%bar}", "foobarfoo")]
    [InlineData("${path#*/}", "usr/local/lib/x.tar.gz")]
    [InlineData("${path##*/}", "x.tar.gz")]
    [InlineData("${path%.*}", "/usr/local/lib/x.tar")]
    [InlineData("${path%%.*}", "/usr/local/lib/x")]
    [InlineData("${path%/*}", "/usr/local/lib")]
    [InlineData("${path##*}", "")]
    [InlineData("${path%%*}", "")]
    [InlineData("${path#?}", "usr/local/lib/x.tar.gz")]
    [InlineData("${path%?}", "/usr/local/lib/x.tar.g")]
    [InlineData("${path#}", "/usr/local/lib/x.tar.gz")]
    [InlineData("${unset#x}", "")]
    [InlineData("${star#a\\*}", "b")]
    [InlineData("${word/foo/x}", "xbarfoo")]
    [InlineData("${word//foo/x}", "xbarx")]
    [InlineData("${word/bar/}", "foofoo")]
    [InlineData("${word//o/0}", "f00barf00")]
    [InlineData("${word/nothing/x}", "foobarfoo")]
    [InlineData("${word/f??/X}", "Xbarfoo")]
    [InlineData("${word/b*/X}", "fooX")]
    [InlineData("${word//[a]/x}", "foobarfoo")]
    [InlineData("${path//\\//-}", "-usr-local-lib-x.tar.gz")]
    [InlineData("${word/foo/$foo}", "barbarfoo")]
    [InlineData("${unset/foo/x}", "")]
    public void A_text_is_expanded(string text, string expected) => Assert.Equal(expected, Expand(text));

    [Theory]
    [InlineData("${foo", "syntax error: missing '}'")]
    [InlineData("${", "syntax error: missing '}'")]
    [InlineData("${}", "syntax error: bad substitution")]
    [InlineData("${:-x}", "syntax error: bad substitution")]
    [InlineData("${foo:x}", "unsupported modifier (:x) in substitution")]
    [InlineData("${foo:", "syntax error: missing '}'")]
    [InlineData("${foo=x}", "unsupported modifier (=) in substitution")]
    [InlineData("${foo:-x", "syntax error: missing '}'")]
    [InlineData("${foo/x", "syntax error: missing '}'")]
    [InlineData("${foo/x}", "syntax error: missing '/' in ${}")]
    [InlineData("'foo", "unexpected end of statement while looking for matching single-quote")]
    [InlineData("\"foo", "unexpected end of statement while looking for matching double-quote")]
    [InlineData("${unset:?}", "unset: is not allowed to be unset")]
    [InlineData("${unset?}", "unset: is not allowed to be unset")]
    [InlineData("${empty:?}", "empty: is not allowed to be empty")]
    [InlineData("${unset:?say $foo}", "unset: say bar")]
    public void What_cannot_be_meant_is_told(string text, string message) => Assert.Equal($"failed to process \"{text.Replace("\"", "\\\"", StringComparison.Ordinal)}\": {message}", Assert.Throws<FormatException>(() => Expand(text)).Message);

    [Theory]
    [InlineData("", new string[0])]
    [InlineData("  ", new string[0])]
    [InlineData("a b", new[] { "a", "b" })]
    [InlineData(" a\tb ", new[] { "a", "b" })]
    [InlineData("'a b' c", new[] { "a b", "c" })]
    [InlineData("a\\ b", new[] { "a b" })]
    [InlineData("$space", new[] { "a", "b" })]
    [InlineData("\"$space\"", new[] { "a b" })]
    [InlineData("x$space", new[] { "xa", "b" })]
    [InlineData("$empty", new string[0])]
    [InlineData("\"$empty\"", new[] { "" })]
    [InlineData("a \"\" b", new[] { "a", "", "b" })]
    public void A_text_is_split(string text, string[] expected) => Assert.Equal(expected, ShellWord.ExpandWords(text, '\\', Value));

    [Theory]
    [InlineData("`$foo", "$foo")]
    [InlineData("a\\$foo", "a\\bar")]
    [InlineData("\"`\"\"", "\"")]
    public void The_escape_character_may_be_another(string text, string expected) => Assert.Equal(expected, ShellWord.Expand(text, '`', Value));

    [Fact]
    public void Nesting_without_end_is_an_error()
    {
        string text = string.Concat(Enumerable.Repeat("${a:-", 100_000)) + new string('}', 100_000);
        Assert.EndsWith("…\": variables are nested too deeply", Assert.Throws<FormatException>(() => Expand(text)).Message, StringComparison.Ordinal);
    }

    private static string Expand(string text) => ShellWord.Expand(text, '\\', Value);

    private static string? Value(string name) => s_variables.GetValueOrDefault(name);
}
