using Slipway.Build.Context;
using Slipway.Build.Scaffolding;
using Slipway.Build.Syntax;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary>Each kind of project gets a Dockerfile of several stages whose program is not root's, and nothing of the project is guessed silently.</summary>
public sealed class ScaffoldingTests : IDisposable
{
    private readonly string _path = Directory.CreateTempSubdirectory("slipway-init-").FullName;

    public static TheoryData<string, string[], string[]> Projects => new()
    {
        // Kind, files as name=text, lines that the Dockerfile must have.
        { "dotnet", ["Web.csproj=<Project Sdk=\"Microsoft.NET.Sdk.Web\"><PropertyGroup><TargetFramework>net9.0</TargetFramework></PropertyGroup></Project>"],
            ["FROM mcr.microsoft.com/dotnet/sdk:9.0 AS build", "FROM mcr.microsoft.com/dotnet/aspnet:9.0", "ENTRYPOINT [\"dotnet\", \"Web.dll\"]", "EXPOSE 8080"] },
        { "dotnet", ["src/My Tool/My Tool.csproj=<Project Sdk=\"Microsoft.NET.Sdk\"><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net8.0</TargetFramework><AssemblyName>tool</AssemblyName></PropertyGroup></Project>", "src/Lib/Lib.csproj=<Project Sdk=\"Microsoft.NET.Sdk\"/>"],
            ["FROM mcr.microsoft.com/dotnet/runtime:8.0", "ENTRYPOINT [\"dotnet\", \"tool.dll\"]", "    dotnet publish 'src/My Tool/My Tool.csproj' --configuration Release --output /app"] },
        { "node", ["package.json={\"engines\":{\"node\":\">=20.1\"},\"scripts\":{\"build\":\"tsc\",\"start\":\"node dist/x.js\"}}", "package-lock.json={}"],
            ["FROM node:20-slim AS build", "COPY package.json package-lock.json ./", "RUN --mount=type=cache,target=/root/.npm npm ci", "RUN npm run build", "USER node", "CMD [\"npm\", \"start\"]"] },
        { "node", ["package.json={\"main\":\"lib/main.js\"}", "yarn.lock=x"], ["COPY package.json yarn.lock ./", "CMD [\"node\", \"lib/main.js\"]"] },
        { "python", ["requirements.txt=Flask==3.0\nrequests\n", "app.py=x", ".python-version=3.12.4\n"], ["FROM python:3.12-slim AS build", "CMD [\"flask\", \"--app\", \"app\", \"run\", \"--host\", \"0.0.0.0\", \"--port\", \"8000\"]"] },
        { "python", ["requirements.txt=django\ngunicorn\n", "manage.py=x", "shop/wsgi.py=x"], ["CMD [\"gunicorn\", \"--bind\", \"0.0.0.0:8000\", \"shop.wsgi\"]"] },
        { "python", ["pyproject.toml=[project]\nrequires-python = \">=3.11\"\ndependencies = [\"fastapi\"]\n", "main.py=x"], ["FROM python:3.11-slim AS build", "CMD [\"uvicorn\", \"main:app\", \"--host\", \"0.0.0.0\", \"--port\", \"8000\"]"] },
        { "go", ["go.mod=module x\n\ngo 1.24.1\n", "go.sum=", "cmd/server/main.go=package main\n"], ["FROM --platform=$BUILDPLATFORM golang:1.24 AS build", "COPY go.mod go.sum ./", "    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags=-s -o /program ./cmd/server"] },
        { "java", ["pom.xml=<project><properties><java.version>17</java.version></properties></project>"], ["FROM maven:3-eclipse-temurin-17 AS build", "FROM eclipse-temurin:17-jre", "    mvn --batch-mode --quiet -DskipTests package"] },
        { "java", ["build.gradle.kts=plugins { id(\"org.springframework.boot\") }\njava { toolchain { languageVersion = JavaLanguageVersion.of(25) } }", "gradlew=#!/bin/sh"], ["FROM eclipse-temurin:25-jdk AS build", "    sh ./gradlew --no-daemon bootJar"] },
        { "static", ["public/index.html=<p>"], ["COPY public /site", "FROM nginxinc/nginx-unprivileged:stable-alpine"] },
    };

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_is_recognized_and_its_file_has_what_it_says(string kind, string[] files, string[] lines)
    {
        Write(files);
        Scaffold scaffold = ProjectTemplates.Describe(new ProjectFolder(_path), null)!;
        Assert.Equal(scaffold.Dockerfile, ProjectTemplates.Describe(new ProjectFolder(_path), kind)!.Dockerfile);
        Assert.All(lines, line => Assert.Contains(line, scaffold.Dockerfile.Split('\n')));
        WellFormed(scaffold);
    }

    [Theory]
    [InlineData("dotnet", "the version of .NET: 10.0")]
    [InlineData("node", "the program: index.js")]
    [InlineData("python", "the version of Python: 3.13")]
    [InlineData("go", "the version of Go: 1.25")]
    [InlineData("java", "the version of Java: 21")]
    [InlineData("static", null)]
    public void A_kind_that_is_named_needs_no_project_and_what_is_guessed_is_told(string kind, string? guess)
    {
        Scaffold scaffold = ProjectTemplates.Describe(new ProjectFolder(_path), kind)!;
        WellFormed(scaffold);
        if (guess is not null)
        {
            Assert.Contains(guess, scaffold.Guesses);
        }
    }

    [Fact]
    public void An_empty_folder_and_one_of_pictures_show_no_project()
    {
        Assert.Null(ProjectTemplates.Describe(new ProjectFolder(_path), null));
        Write(["a.png=x", "docs/readme.md=x", "node_modules/x/x.csproj=<Project/>"]);
        Assert.Null(ProjectTemplates.Describe(new ProjectFolder(_path), null));
    }

    [Fact]
    public void Descriptions_that_are_no_JSON_or_huge_are_not_believed()
    {
        Write(["package.json={not json", "server.js=x"]);
        Assert.Contains("CMD [\"node\", \"server.js\"]", ProjectTemplates.Describe(new ProjectFolder(_path), null)!.Dockerfile, StringComparison.Ordinal);
        Write(["package.json={\"main\":\"x.js\",\"x\":\"" + new string('x', 2 << 20) + "\"}"]);
        Assert.Contains("CMD [\"node\", \"server.js\"]", ProjectTemplates.Describe(new ProjectFolder(_path), null)!.Dockerfile, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_project_says_of_itself_cannot_add_an_instruction()
    {
        Write(["package.json={\"main\":\"x.js\\\"]\\nUSER root\\nCMD [\\\"sh\"}"]);
        Scaffold scaffold = ProjectTemplates.Describe(new ProjectFolder(_path), null)!;
        WellFormed(scaffold);
        Assert.DoesNotContain("\nUSER root", scaffold.Dockerfile, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_path, recursive: true);

    private static void WellFormed(Scaffold scaffold)
    {
        DockerfileDocument file = DockerfileParser.Parse(scaffold.Dockerfile);
        Assert.True(file.Stages.Count >= 2, scaffold.Dockerfile);
        UserInstruction user = Assert.Single(file.Stages[^1].Instructions.OfType<UserInstruction>());
        Assert.DoesNotContain(user.User.ToString(), (string[])["root", "0", "0:0"]);
        IgnoreFile ignored = IgnoreFile.Parse(scaffold.IgnoreFile);
        Assert.True(ignored.Ignores(".git/config"));
        Assert.True(ignored.Ignores(".env"));
        Assert.False(ignored.Ignores("src/program.c"));
    }

    private void Write(string[] files)
    {
        foreach (string file in files)
        {
            string[] parts = file.Split('=', 2);
            string path = Path.Combine(_path, parts[0]);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, parts[1]);
        }
    }
}
