// Which cached thumbnails libfm-qt takes: asked for by its own job, one file after the other.
//
// Input and output are those of kio_preview.cpp.

#define QT_NO_KEYWORDS // GIO has fields called `signals`
#include <QApplication>
#include <QFile>
#include <QImage>
#include <core/fileinfojob.h>
#include <core/thumbnailjob.h>
#include <cstdio>
#include <libfmqt.h>

// Jobs are run by threads as a rule; here, by the program itself.
struct Infos : Fm::FileInfoJob {
    using Fm::FileInfoJob::FileInfoJob;
    void now() { exec(); }
};

struct Thumbnails : Fm::ThumbnailJob {
    using Fm::ThumbnailJob::ThumbnailJob;
    void now() { exec(); }
};

int main(int argc, char **argv)
{
    QApplication program(argc, argv);
    Fm::LibFmQt library;
    const int edge = QString::fromLocal8Bit(argv[1]).toInt();
    QFile input;
    if (!input.open(stdin, QIODevice::ReadOnly))
        return 1;
    for (const QByteArray &name : input.readAll().split('\0')) {
        if (name.isEmpty())
            continue;
        Infos infos(Fm::FilePathList{Fm::FilePath::fromLocalPath(name.constData())});
        infos.now();
        Thumbnails thumbnails(infos.files(), edge);
        thumbnails.now();
        const char *said = "none";
        for (const QImage &image : thumbnails.results())
            if (!image.isNull())
                said = image.pixelColor(image.width() / 2, image.height() / 2) == QColor(0, 255, 0) ? "taken" : "made";
        std::printf("%s\n", said);
    }
    return 0;
}
